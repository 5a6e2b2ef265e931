variable "name" {
  description = "Begins the name of each resource."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,49}$", var.name))
    error_message = "name must be 1 to 50 lower-case letters, digits and hyphens, and start with a letter."
  }
}

variable "table" {
  description = "The request table: its ARN, its name, and the ARN of its stream, which must have the new images."
  type = object({
    arn        = string
    name       = string
    stream_arn = string
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

variable "link_seconds" {
  description = "For how long a link to a file is valid."
  type        = number
  nullable    = false
}

variable "secret_arn" {
  description = "ARN of the secret in Secrets Manager, or of the parameter in SSM, that webhooks are signed with: whsec_ and base64, or two of them separated by a space while they are rotated."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^arn:[a-z-]+:(secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:.+|ssm:[a-z0-9-]+:[0-9]{12}:parameter/.+)$", var.secret_arn))
    error_message = "secret_arn must be the ARN of a secret of Secrets Manager or of a parameter of SSM."
  }
}

variable "secret_kms_key_arn" {
  description = "KMS key that encrypts the secret; null is the key that AWS manages."
  type        = string
  nullable    = true

  validation {
    condition     = var.secret_kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.secret_kms_key_arn))
    error_message = "secret_kms_key_arn must be the ARN of a KMS key."
  }
}

variable "default_url" {
  description = "Where requests are announced whose client names no URL; null is nowhere."
  type        = string
  nullable    = true

  validation {
    condition     = var.default_url == null || can(regex("^http${var.allow_loopback ? "s?" : "s"}://[A-Za-z0-9_.:-]+(/[!-~]*)?$", var.default_url))
    error_message = "default_url must begin with https:// and a host's name."
  }
}

variable "allow_loopback" {
  description = "Send webhooks to this machine, too, and there by plain HTTP: for an emulator. On AWS it would be the function's own environment."
  type        = bool
  nullable    = false
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
  description = "Memory of each of the two functions in MB."
  type        = number
  nullable    = false
}

variable "ephemeral_storage_mb" {
  description = "Size of /tmp in MB."
  type        = number
  nullable    = false
}

variable "maximum_concurrency" {
  description = "Maximum number of concurrent deliverers, each of which sends ten webhooks at a time."
  type        = number
  nullable    = false

  validation {
    condition     = var.maximum_concurrency >= 2 && var.maximum_concurrency <= 1000
    error_message = "maximum_concurrency must be from 2 to 1000, which is what Lambda accepts."
  }
}

variable "pools_json" {
  description = "The pools and their models, as JSON: metrics of a pool's models are counted together."
  type        = string
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
  description = "KMS key that encrypts the table, the queues and the logs; null is AWS's own keys."
  type        = string
  nullable    = true
}

variable "vpc" {
  description = "Subnets and security groups of the functions, with a way to the internet; null is no VPC."
  type = object({
    subnet_ids         = list(string)
    security_group_ids = list(string)
  })
  nullable = true
}
