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
  description = "Days after its last write when an object is deleted; S3 rounds up to the next midnight, UTC. null is never."
  type        = number
  nullable    = true

  validation {
    condition     = var.retention_days == null ? true : var.retention_days >= 1 && floor(var.retention_days) == var.retention_days
    error_message = "retention_days must be null or a whole number of at least 1."
  }
}

variable "versions_days" {
  description = "Keep the versions of objects that are overwritten or deleted, for so many days; null keeps none."
  type        = number
  nullable    = true

  validation {
    condition     = var.versions_days == null ? true : var.versions_days >= 1 && floor(var.versions_days) == var.versions_days
    error_message = "versions_days must be null or a whole number of at least 1."
  }
}

variable "events" {
  description = "Send EventBridge an event of each object that is created."
  type        = bool
  nullable    = false
}

variable "cdn" {
  description = "The CloudFront distribution that may read the objects with these prefixes; null is none."
  type = object({
    distribution_arn = string
    prefixes         = list(string)
  })
  nullable = true
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
