variable "name" {
  description = "Name of the request table."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-zA-Z0-9_.-]{3,255}$", var.name))
    error_message = "name must be 3 to 255 letters, digits, underscores, dots and hyphens."
  }
}

variable "list_by_caller" {
  description = "Keep an index of the requests by caller: one more write for each request, and at most 1,000 new requests a second for each caller."
  type        = bool
  nullable    = false
}

variable "deletion_protection" {
  description = "Refuse to delete the table, terraform destroy included."
  type        = bool
  nullable    = false
}

variable "stream" {
  description = "Have a stream of the table's changes, with the new images: what webhooks follow from."
  type        = bool
  nullable    = false
}

variable "kms_key_arn" {
  description = "KMS key that encrypts the table; null is the one that AWS manages for DynamoDB."
  type        = string
  nullable    = true
}
