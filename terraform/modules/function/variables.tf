variable "name" {
  description = "Name of the function, its role and (with /aws/lambda/ before it) its log group."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,63}$", var.name))
    error_message = "name must be 1 to 64 lower-case letters, digits and hyphens, and start with a letter."
  }
}

variable "description" {
  description = "What the function is for, in one sentence."
  type        = string
  nullable    = false

  validation {
    condition     = length(var.description) >= 1 && length(var.description) <= 256
    error_message = "description must have 1 to 256 characters."
  }
}

variable "package" {
  description = "The code: a zip file on this machine or a container image named by its digest. Exactly one of the two."
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
    error_message = "Function ${var.name}: package must have exactly one of zip and image."
  }

  validation {
    condition     = var.package.image == null || can(regex("^[^@:]+(:[0-9]+/[^@:]+)?@sha256:[0-9a-f]{64}$", var.package.image.uri))
    error_message = "Function ${var.name}: package.image.uri must name the image by digest (repository@sha256:<64 hex digits>): a tag can move without a deploy."
  }

  validation {
    condition     = var.package.zip == null || try(fileexists(var.package.zip.path), false)
    error_message = "Function ${var.name}: package.zip.path names no file: ${try(var.package.zip.path, "")}. Build the packages first (make package)."
  }

  validation {
    condition     = var.package.zip == null || can(regex("^python3\\.1[2-9]$", var.package.zip.runtime))
    error_message = "Function ${var.name}: package.zip.runtime must be python3.12 or later."
  }

  validation {
    condition     = var.package.zip == null || can(regex("^[A-Za-z_][A-Za-z0-9_]*(\\.[A-Za-z_][A-Za-z0-9_]*)+$", var.package.zip.handler))
    error_message = "Function ${var.name}: package.zip.handler must be a dotted path such as api.handler."
  }
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
    error_message = "Function ${var.name}: memory_mb must be a whole number from 128 to 10240."
  }
}

variable "ephemeral_storage_mb" {
  description = "Size of /tmp in MB; Lambda bills what is above 512."
  type        = number
  nullable    = false

  validation {
    condition     = var.ephemeral_storage_mb >= 512 && var.ephemeral_storage_mb <= 10240 && floor(var.ephemeral_storage_mb) == var.ephemeral_storage_mb
    error_message = "Function ${var.name}: ephemeral_storage_mb must be a whole number from 512 to 10240."
  }
}

variable "timeout_seconds" {
  description = "Longest time of one invocation."
  type        = number
  nullable    = false

  validation {
    condition     = var.timeout_seconds >= 1 && var.timeout_seconds <= 900 && floor(var.timeout_seconds) == var.timeout_seconds
    error_message = "Function ${var.name}: timeout_seconds must be a whole number from 1 to 900."
  }
}

variable "environment" {
  description = "Environment variables of the function."
  type        = map(string)
  nullable    = false

  validation {
    condition     = alltrue([for name in keys(var.environment) : can(regex("^[a-zA-Z][a-zA-Z0-9_]+$", name))])
    error_message = "Function ${var.name}: environment names must be 2 or more letters, digits and underscores, and start with a letter."
  }

  # Lambda measures the variables as JSON: each quote in a value counts twice.
  validation {
    condition     = length(jsonencode(var.environment)) <= 4096
    error_message = "Function ${var.name}: environment takes ${length(jsonencode(var.environment))} of the 4096 characters that Lambda allows. Shorten its values, or split the models over two stacks."
  }
}

variable "policies" {
  description = "What the function may do: capability name (queue, table, ...) to policy JSON. Each becomes one inline policy of the role."
  type        = map(string)
  nullable    = false

  validation {
    condition     = alltrue([for name in keys(var.policies) : can(regex("^[a-z][a-z-]*$", name)) && !contains(["own-log", "tracing", "key", "network"], name)])
    error_message = "Function ${var.name}: policies names must be lower-case words joined by hyphens; own-log, tracing, key and network are the module's own."
  }

  validation {
    # IAM does not count white space. The margin is for the module's own policies.
    condition     = sum(concat([0], [for policy in values(var.policies) : length(jsonencode(jsondecode(policy)))])) <= 8700
    error_message = "Function ${var.name}: policies are too long: IAM allows one role 10240 characters of inline policies. Shorten names, or move some to attached_policies."
  }
}

variable "attached_policies" {
  description = "What does not fit into inline policies: name to policy JSON. Each becomes a managed policy that is attached to the role."
  type        = map(string)
  nullable    = false

  validation {
    condition     = length(var.attached_policies) <= 10
    error_message = "Function ${var.name}: attached_policies has ${length(var.attached_policies)}, and IAM attaches 10 to a role. Split the models over two stacks."
  }

  validation {
    condition     = alltrue([for policy in values(var.attached_policies) : length(jsonencode(jsondecode(policy))) <= 6144])
    error_message = "Function ${var.name}: attached_policies must have 6144 characters each at most; ${join(", ", [for name, policy in var.attached_policies : name if length(jsonencode(jsondecode(policy))) > 6144])} has more."
  }
}

variable "tracing" {
  description = "Send traces of the invocations to X-Ray."
  type        = bool
  nullable    = false
}

variable "invocation_lines" {
  description = "Whether Lambda logs START, END and REPORT of each invocation, as text. Without, its own lines are JSON, and are there where something went wrong."
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

variable "key" {
  description = "KMS key that encrypts the function's log and what it reads and writes: by way of which services, such as sqs, it decrypts and encrypts; of none, only its log is encrypted. null is AWS's own keys."
  type = object({
    arn         = string
    decrypts_by = list(string)
    encrypts_by = list(string)
  })
  nullable = true
}

variable "vpc" {
  description = "Subnets and security groups of the function; null is no VPC."
  type = object({
    subnet_ids         = list(string)
    security_group_ids = list(string)
  })
  nullable = true
}
