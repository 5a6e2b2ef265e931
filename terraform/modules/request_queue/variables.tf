variable "name" {
  description = "Name of the request queue."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,79}$", var.name))
    error_message = "name must be 1 to 80 lower-case letters, digits and hyphens, and start with a letter."
  }

  validation {
    condition     = !endswith(var.name, "-dlq")
    error_message = "name must not end in -dlq: that names dead-letter queues."
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

variable "dead_letter_queue_arn" {
  description = "ARN of the queue that messages move to after max_receive_count receives. SQS rejects one that does not exist."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^arn:[a-z-]+:sqs:[^:]+:[0-9]{12}:[^:]+$", var.dead_letter_queue_arn))
    error_message = "Queue ${var.name}: dead_letter_queue_arn must be the ARN of an SQS queue."
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

variable "sender_rule_arns" {
  description = "ARNs of the EventBridge rules that may send to the queue, beside those with a right of their own; [] is none."
  type        = list(string)
  nullable    = false
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
