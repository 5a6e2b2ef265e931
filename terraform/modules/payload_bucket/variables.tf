variable "name" {
  description = "Name of the bucket; all accounts share the names, so it should contain the account."
  type        = string
  nullable    = false

  validation {
    # No dots: with them the certificate of S3 does not cover the bucket's host name.
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.name))
    error_message = "name must be 3 to 63 lower-case letters, digits and hyphens, and begin and end with a letter or digit."
  }
}

variable "retention_days" {
  description = "Days after its last write when an object is deleted; S3 rounds up to the next midnight, UTC."
  type        = number
  nullable    = false

  validation {
    condition     = var.retention_days >= 1 && floor(var.retention_days) == var.retention_days
    error_message = "retention_days must be a whole number of at least 1."
  }
}

variable "cors_origins" {
  description = "Origins of web pages that may use the presigned links, such as https://example.com; [] is none. They need not be known in a plan, but how many there are."
  type        = list(string)
  nullable    = false
}

variable "force_destroy" {
  description = "Delete the objects with the bucket; without this a destroy fails while there are any."
  type        = bool
  nullable    = false
}

variable "tls_only" {
  description = "Deny every call without TLS."
  type        = bool
  nullable    = false
}

variable "kms_key_arn" {
  description = "KMS key that encrypts the objects; null is S3's own."
  type        = string
  nullable    = true
}
