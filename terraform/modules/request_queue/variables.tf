variable "name" {
  description = "Name of the request queue; its dead-letter queue gets the same name with -dlq."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,75}$", var.name))
    error_message = "name must be 1 to 76 lower-case letters, digits and hyphens, and start with a letter (SQS allows 80 with -dlq)."
  }

  validation {
    condition     = !endswith(var.name, "-dlq")
    error_message = "name must not end in -dlq: that is the dead-letter queue of another."
  }
}

variable "worker_timeout_seconds" {
  description = "Timeout of the function that reads the queue; the visibility timeout follows from it."
  type        = number
  nullable    = false

  validation {
    condition     = var.worker_timeout_seconds >= 1 && var.worker_timeout_seconds <= 900
    error_message = "Queue ${var.name}: worker_timeout_seconds must be from 1 to 900, as Lambda's timeout."
  }
}

variable "batch_window_seconds" {
  description = "Batching window of the event source mapping that reads the queue."
  type        = number
  nullable    = false

  validation {
    condition     = var.batch_window_seconds >= 0 && var.batch_window_seconds <= 300
    error_message = "Queue ${var.name}: batch_window_seconds must be from 0 to 300."
  }
}

variable "dlq_consumer_timeout_seconds" {
  description = "Timeout of the function that reads the dead-letter queue."
  type        = number
  nullable    = false

  validation {
    condition     = var.dlq_consumer_timeout_seconds >= 1 && var.dlq_consumer_timeout_seconds <= 900
    error_message = "Queue ${var.name}: dlq_consumer_timeout_seconds must be from 1 to 900, as Lambda's timeout."
  }
}

variable "max_receive_count" {
  description = "Receives after which a message moves to the dead-letter queue. Throttled receives count too."
  type        = number
  nullable    = false

  validation {
    condition     = var.max_receive_count >= 5 && var.max_receive_count <= 1000
    error_message = "Queue ${var.name}: max_receive_count must be from 5 to 1000: with fewer, throttling alone sends messages to the dead-letter queue."
  }
}

variable "retention_seconds" {
  description = "How long SQS keeps a message that is not processed."
  type        = number
  nullable    = false

  validation {
    condition     = var.retention_seconds >= 60 && var.retention_seconds <= 1209600
    error_message = "Queue ${var.name}: retention_seconds must be from 60 to 1209600 (14 days, which is what the dead-letter queue has)."
  }
}

variable "tls_only" {
  description = "Reject calls that do not come by TLS. Only an emulator that speaks plain HTTP needs false."
  type        = bool
  nullable    = false
}
