variable "name" {
  description = "Begins the name of each resource."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,49}$", var.name))
    error_message = "name must be 1 to 50 lower-case letters, digits and hyphens, and start with a letter."
  }
}

variable "triggers" {
  description = <<-TEXT
    By name. bucket, prefix, suffix: the objects. models: each gets a request. caller: whose requests these are. place: where in the
    input the object is; null is the only one that a model's manifest declares. input_json: what a model's input has beside it, by model. webhook:
    where a parent is announced; null is the deployment's default. results: bucket, prefix and key of what is written to S3; null is nothing.
  TEXT
  type = map(object({
    bucket     = string
    prefix     = string
    suffix     = string
    models     = list(string)
    caller     = string
    place      = optional(string)
    input_json = string
    webhook    = optional(string)
    results = optional(object({
      bucket      = string
      prefix      = string
      kms_key_arn = optional(string)
    }))
  }))
  nullable = false

  validation {
    condition     = length(var.triggers) > 0 && alltrue([for name in keys(var.triggers) : can(regex("^[a-z][a-z0-9-]{0,30}$", name))])
    error_message = "triggers must be one or more, with names of 1 to 31 lower-case letters, digits and hyphens that start with a letter."
  }
}

variable "table" {
  description = "The request table: its ARN, its name, and the ARN of its stream, which must have the new images; null where no trigger writes results."
  type = object({
    arn        = string
    name       = string
    stream_arn = optional(string)
  })
  nullable = false
}

variable "payloads" {
  description = "The payload bucket, which has the files of results: its ARN and its name."
  type = object({
    arn  = string
    name = string
  })
  nullable = false
}

variable "models" {
  description = "The models as the api function knows them: their names and sources, pools and default, the prefix of their queues' URLs, and the memory of those whose worker has another than their manifest says; JSON."
  type = object({
    models_json      = string
    pools_json       = string
    default_model    = string
    memory_mb_json   = string
    queue_url_prefix = string
  })
  nullable = false
}

variable "model_queue_arns" {
  description = "ARNs of the queues of the triggers' models."
  type        = list(string)
  nullable    = false
}

variable "limits" {
  description = "Of each request: attempts, and times in seconds."
  type = object({
    max_attempts      = number
    deadline_seconds  = number
    retention_seconds = number
  })
  nullable = false
}

variable "webhooks_json" {
  description = "The webhooks' options, as the api function has them; null without webhooks."
  type        = string
  nullable    = true
}

variable "maximum_concurrency" {
  description = "Maximum number of concurrent intakes, each of which takes ten events."
  type        = number
  nullable    = false

  validation {
    condition     = var.maximum_concurrency >= 2 && var.maximum_concurrency <= 1000
    error_message = "maximum_concurrency must be from 2 to 1000, which is what Lambda accepts."
  }
}

variable "package" {
  description = "The zip with the functions, and its runtime."
  type = object({
    path    = string
    runtime = string
  })
  nullable = false
}

variable "architecture" {
  description = "Instruction set the package is built for."
  type        = string
  nullable    = false
}

variable "memory_mb" {
  description = "Memory of each of the functions in MB."
  type        = number
  nullable    = false
}

variable "ephemeral_storage_mb" {
  description = "Size of /tmp in MB."
  type        = number
  nullable    = false
}

variable "log_level" {
  description = "Lowest level that is logged."
  type        = string
  nullable    = false
}

variable "log_retention_days" {
  description = "Days that log events are kept; one of the values CloudWatch Logs accepts."
  type        = number
  nullable    = false
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

variable "tls_only" {
  description = "Reject calls to the queues that do not come by TLS. Only an emulator that speaks plain HTTP needs false."
  type        = bool
  nullable    = false
}

variable "kms_key_arn" {
  description = "KMS key that encrypts the table, the queues, the payload bucket and the logs; null is AWS's own keys."
  type        = string
  nullable    = true
}

variable "vpc" {
  description = "Subnets and security groups of the functions; null is no VPC."
  type = object({
    subnet_ids         = list(string)
    security_group_ids = list(string)
  })
  nullable = true
}
