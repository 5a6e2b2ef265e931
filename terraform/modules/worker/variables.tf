variable "name" {
  description = "Name of the worker's function, its role and (with /aws/lambda/ before it) its log group."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,63}$", var.name))
    error_message = "name must be 1 to 64 lower-case letters, digits and hyphens, and start with a letter."
  }
}

variable "queue" {
  description = "The request queue that the worker reads."
  type = object({
    name = string
    url  = string
  })
  nullable = false
}

# Not in the object above: what reads an object waits for all of it, and only the mapping has to wait for the queue.
variable "queue_arn" {
  description = "ARN of the request queue, by which the mapping reads it."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^arn:[a-z-]+:sqs:[^:]+:[0-9]{12}:[^:]+$", var.queue_arn))
    error_message = "queue_arn must be the ARN of an SQS queue."
  }
}

variable "table" {
  description = "The request table that the worker claims from and writes the outcome to."
  type = object({
    arn  = string
    name = string
  })
  nullable = false
}

variable "payloads" {
  description = "The payload bucket that the worker reads inputs from and writes files of results to."
  type = object({
    arn  = string
    name = string
  })
  nullable = false
}

variable "sources" {
  description = "Where the objects are that triggers take as inputs of these models, and the KMS keys that encrypt them; [] is none."
  type = list(object({
    bucket      = string
    prefix      = string
    kms_key_arn = optional(string)
  }))
  nullable = false
}

variable "architecture" {
  description = "Instruction set the package is built for."
  type        = string
  nullable    = false

  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "architecture must be x86_64 or arm64."
  }
}

variable "memory_mb" {
  description = "Memory in MB; Lambda gives one vCPU for each 1769."
  type        = number
  nullable    = false

  validation {
    condition     = var.memory_mb >= 128 && var.memory_mb <= 10240 && floor(var.memory_mb) == var.memory_mb
    error_message = "${var.label}: memory_mb must be a whole number from 128 to 10240."
  }
}

variable "ephemeral_storage_mb" {
  description = "Size of /tmp in MB, where an artifact from S3 is kept; Lambda bills what is above 512."
  type        = number
  nullable    = false

  validation {
    condition     = var.ephemeral_storage_mb >= 512 && var.ephemeral_storage_mb <= 10240 && floor(var.ephemeral_storage_mb) == var.ephemeral_storage_mb
    error_message = "${var.label}: ephemeral_storage_mb must be a whole number from 512 to 10240."
  }
}

variable "timeout_seconds" {
  description = "Longest time of one invocation. In the last 1.5 s a prediction that hangs is recorded as timed out."
  type        = number
  nullable    = false

  validation {
    condition     = var.timeout_seconds >= 3 && var.timeout_seconds <= 900 && floor(var.timeout_seconds) == var.timeout_seconds
    error_message = "${var.label}: timeout_seconds must be a whole number from 3 to 900: recording that a prediction hangs takes 1.5 s of it."
  }
}

variable "batch_size" {
  description = "Maximum number of messages in one invocation, and so in one forward pass."
  type        = number
  nullable    = false

  validation {
    condition     = var.batch_size >= 1 && var.batch_size <= 10000 && floor(var.batch_size) == var.batch_size
    error_message = "${var.label}: batch_size must be a whole number from 1 to 10000."
  }
}

variable "batch_window_seconds" {
  description = "How long the mapping waits for a batch to fill; each second is one of latency for a lone request."
  type        = number
  nullable    = false

  validation {
    condition     = var.batch_window_seconds >= 0 && var.batch_window_seconds <= 300 && floor(var.batch_window_seconds) == var.batch_window_seconds
    error_message = "${var.label}: batch_window_seconds must be a whole number from 0 to 300."
  }

  validation {
    condition     = var.batch_size <= 10 || var.batch_window_seconds >= 1
    error_message = "${var.label}: batch_window_seconds must be at least 1 with a batch_size above 10: SQS gives ten messages at a time."
  }
}

variable "maximum_concurrency" {
  description = "Maximum number of concurrent workers; more messages wait in the queue and are not throttled. null is no limit."
  type        = number
  nullable    = true

  validation {
    condition     = var.maximum_concurrency == null ? true : var.maximum_concurrency >= 2 && var.maximum_concurrency <= 1000
    error_message = "${var.label}: maximum_concurrency must be null or from 2 to 1000: Lambda rejects 1."
  }
}

variable "warmth" {
  description = "What keeps environments ready, as the function module takes it; {} is nothing, and costs nothing."
  type = object({
    provisioned = optional(number)
    scheduled = optional(object({
      concurrency = number
      start       = string
      stop        = string
      timezone    = string
    }))
    tracking = optional(object({
      min    = number
      max    = number
      target = number
    }))
    snap_start = optional(bool)
    warmer = optional(object({
      environments = number
      schedule     = string
    }))
  })
  nullable = false
}

variable "rollout" {
  description = <<-TEXT
    How a new version takes over, as the function module takes it. canary: its share of the invocations until it is promoted; null or 0 is all, at once. kept: the version
    that was last decided on, those that were rolled back, and the package type that they are of; null is no decision.
    alarm_actions: what the canary's alarm notifies.
  TEXT
  type = object({
    canary = optional(number)
    kept = optional(object({
      version      = string
      rejected     = list(string)
      package_type = string
    }))
    alarm_actions = optional(list(string))
  })
  nullable = false
}

variable "reserved_concurrency" {
  description = "Concurrency set aside for the worker and at the same time its limit; null is neither."
  type        = number
  nullable    = true

  validation {
    condition     = var.reserved_concurrency == null ? true : var.reserved_concurrency >= coalesce(var.maximum_concurrency, 1) + local.pings
    error_message = "${var.label}: reserved_concurrency must be at least maximum_concurrency and the warmer's environments together: with less, messages are throttled and reach the dead-letter queue without a try."
  }
}

variable "retry" {
  description = "After a failure that may pass, a message comes back after base_seconds, doubled with each attempt up to max_seconds."
  type = object({
    base_seconds = number
    max_seconds  = number
  })
  nullable = false

  validation {
    condition     = var.retry.base_seconds >= 0 && var.retry.base_seconds <= var.retry.max_seconds && var.retry.max_seconds <= 43200
    error_message = "retry.base_seconds must be from 0 to retry.max_seconds, and that at most 43200, SQS's longest visibility timeout."
  }
}

variable "environment" {
  description = "Environment variables of the model's own, beside those that Lambda and the worker set."
  type        = map(string)
  nullable    = false

  validation {
    condition     = alltrue([for name in keys(var.environment) : can(regex("^[a-zA-Z][a-zA-Z0-9_]+$", name))])
    error_message = "${var.label}: names in environment must be 2 or more letters, digits and underscores, and start with a letter: ${join(", ", keys(var.environment))}."
  }

  # Lambda rejects these in a function's configuration.
  validation {
    condition     = !anytrue([for name in keys(var.environment) : can(regex(local.reserved_name, name))])
    error_message = "${var.label}: environment must not set ${join(", ", [for name in keys(var.environment) : name if can(regex(local.reserved_name, name))])}: Lambda sets it."
  }

  validation {
    condition     = length(setintersection(keys(var.environment), keys(local.own_environment))) == 0
    error_message = "${var.label}: environment must not set ${join(", ", setintersection(keys(var.environment), keys(local.own_environment)))}: the stack sets it. A model's own variables need other names."
  }
}

variable "log_level" {
  description = "Lowest level that is logged."
  type        = string
  nullable    = false

  validation {
    condition     = contains(["DEBUG", "INFO", "WARNING", "ERROR"], var.log_level)
    error_message = "log_level must be DEBUG, INFO, WARNING or ERROR."
  }
}

variable "metrics_environment" {
  description = "Write metrics, with this as their dimension Environment; null writes none."
  type        = string
  nullable    = true
}

variable "tracing" {
  description = "Send traces of the invocations to X-Ray."
  type        = bool
  nullable    = false
}

variable "log_retention_days" {
  description = "Days that log events are kept; one of the values CloudWatch Logs accepts."
  type        = number
  nullable    = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be a number of days that CloudWatch Logs accepts, such as 7, 14, 30, 90 or 365."
  }
}

variable "kms_key_arn" {
  description = "KMS key that encrypts the queue, the table, the payload bucket and the worker's log; null is AWS's own keys."
  type        = string
  nullable    = true
}

variable "vpc" {
  description = "Subnets and security groups of the worker; null is no VPC."
  type = object({
    subnet_ids         = list(string)
    security_group_ids = list(string)
  })
  nullable = true
}
