variable "name" {
  description = "Name of the function, its role and (with /aws/lambda/ before it) its log group."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,63}$", var.name))
    error_message = "name must be 1 to 64 lower-case letters, digits and hyphens, and start with a letter."
  }
}

variable "label" {
  description = "What error messages and the function's description call it, such as Model sentiment or Pool experiments."
  type        = string
  nullable    = false
}

variable "models" {
  description = "The models, by the name they have in /models/{model}/predict: the folder under worker/models/ that one comes from, and where its artifact is, as the worker module takes it."
  type = map(object({
    source   = string
    artifact = optional(string)
  }))
  nullable = false

  validation {
    condition     = length(var.models) > 0
    error_message = "${var.label}: models must name at least one model."
  }
}

variable "package" {
  description = "The worker's code, as the function module takes it; the handler or command in it is replaced."
  type = object({
    zip = optional(object({
      path    = string
      handler = string
      runtime = string
    }))
    image = optional(object({
      uri     = string
      command = optional(list(string))
    }))
  })
  nullable = false

  validation {
    condition     = (var.package.zip == null) != (var.package.image == null)
    error_message = "${var.label}: package must have exactly one of zip and image."
  }
}

variable "read_policy" {
  description = "What the function may read in S3, as the worker module makes it, as JSON; null is nothing. It may do nothing else."
  type        = string
  nullable    = true
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
    error_message = "${var.label}: sync.memory_mb must be a whole number from 128 to 10240."
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
  description = "Longest time of one call, its cold start included. In the last 1.5 s a call that has no result yet is answered with 504."
  type        = number
  nullable    = false

  validation {
    condition     = var.timeout_seconds >= 3 && var.timeout_seconds <= 29 && floor(var.timeout_seconds) == var.timeout_seconds
    error_message = "${var.label}: sync.timeout_seconds must be a whole number from 3 to 29: an HTTP API ends every call at 30 s, and the caller would get its 503 instead of an answer. What takes longer is submitted asynchronously."
  }
}

variable "max_body_bytes" {
  description = "Largest input, and largest batch, in bytes."
  type        = number
  nullable    = false
}

variable "max_body_depth" {
  description = "Deepest nesting of an input."
  type        = number
  nullable    = false
}

variable "max_batch_items" {
  description = "Most items of a batch, which is one forward pass; null is the model's batch_size."
  type        = number
  nullable    = true

  validation {
    condition     = var.max_batch_items == null ? true : var.max_batch_items >= 1 && var.max_batch_items <= 10000 && floor(var.max_batch_items) == var.max_batch_items
    error_message = "${var.label}: sync.max_batch_items must be null or a whole number from 1 to 10000."
  }
}

variable "reserved_concurrency" {
  description = "Concurrency set aside for the function and at the same time its limit; null is neither. Calls above it get API Gateway's 503."
  type        = number
  nullable    = true

  validation {
    condition     = var.reserved_concurrency == null ? true : var.reserved_concurrency >= 1 && floor(var.reserved_concurrency) == var.reserved_concurrency
    error_message = "${var.label}: sync.reserved_concurrency must be null or a whole number, 1 or more: 0 rejects every call."
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
  description = "Which version serves, as the function module takes it; {} is the newest."
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

variable "environment" {
  description = "Environment variables of the model's own, as the worker has them."
  type        = map(string)
  nullable    = false
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

variable "log_retention_days" {
  description = "Days that log events are kept; one of the values CloudWatch Logs accepts."
  type        = number
  nullable    = false
}

variable "tracing" {
  description = "Trace calls with X-Ray."
  type        = bool
  nullable    = false
}

variable "kms_key_arn" {
  description = "KMS key that encrypts the function's log; null is AWS's own keys."
  type        = string
  nullable    = true
}

variable "vpc" {
  description = "Subnets and security groups of the function; null is no VPC."
  type = object({
    subnet_ids         = list(string)
    security_group_ids = list(string)
  })
  nullable = true
}
