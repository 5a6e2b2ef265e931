variable "bucket" {
  description = "Name of the bucket. null is inference-terraform-<account>-<region>."
  type        = string
  default     = null
  nullable    = true

  validation {
    condition     = var.bucket == null ? true : can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "bucket must be 3 to 63 lower-case letters, digits and hyphens, and start and end with a letter or digit."
  }
}

variable "former_version_days" {
  description = "Days until a replaced version of a state may be deleted; the last 20 of each state are always kept."
  type        = number
  default     = 90
  nullable    = false

  validation {
    condition     = var.former_version_days >= 1 && floor(var.former_version_days) == var.former_version_days
    error_message = "former_version_days must be a whole number of days, 1 or more."
  }
}

variable "kms_key_arn" {
  description = "KMS key that encrypts the states, in the region of the bucket; null is S3's own. backend.hcl must name it too, as kms_key_id: `make bootstrap` writes it."
  type        = string
  default     = null
  nullable    = true

  validation {
    condition     = var.kms_key_arn == null ? true : can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a KMS key, not of an alias."
  }
}
