variable "name" {
  description = "Name of the dead-letter queue."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,75}-dlq$", var.name))
    error_message = "name must be 5 to 80 lower-case letters, digits and hyphens, start with a letter and end in -dlq."
  }
}

variable "source_names" {
  description = "Names of the request queues whose messages move here. Up to ten are allowed by name; SQS has no longer list, so with more any queue of the account may use this one."
  type        = set(string)
  nullable    = false

  validation {
    condition     = length(var.source_names) > 0
    error_message = "source_names must name at least one queue."
  }
}

variable "consumer_timeout_seconds" {
  description = "Timeout of the function that reads the queue; the visibility timeout follows from it."
  type        = number
  nullable    = false

  validation {
    condition     = var.consumer_timeout_seconds >= 1 && var.consumer_timeout_seconds <= 900
    error_message = "Queue ${var.name}: consumer_timeout_seconds must be from 1 to 900, as Lambda's timeout."
  }
}

variable "tls_only" {
  description = "Reject calls that do not come by TLS. Only an emulator that speaks plain HTTP needs false."
  type        = bool
  nullable    = false
}

variable "kms_key_arn" {
  description = "KMS key that encrypts the messages; null is SQS's own."
  type        = string
  nullable    = true
}
