# What the whole deployment has one of. The models' settings are in variables_models.tf, a request's in
# variables_requests.tf, the API's in variables_api.tf; the defaults of all objects are in defaults.json.

variable "name_prefix" {
  description = "Begins every name, as <project>-<environment>."
  type        = string
  nullable    = false

  validation {
    # Lambda allows 64 characters: <prefix>-worker-<31 of the model's name>.
    condition     = can(regex("^[a-z][a-z0-9-]{1,23}[a-z0-9]$", var.name_prefix))
    error_message = "name_prefix must be 3 to 25 lower-case letters, digits and hyphens, start with a letter and not end in a hyphen."
  }
}

variable "architecture" {
  description = "Instruction set of every function, x86_64 or arm64: what the packages are built for."
  type        = string
  nullable    = false

  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "architecture must be x86_64 or arm64."
  }
}

variable "images_from_parameters" {
  description = "Run each model from the image that the SSM parameter /<name_prefix>/worker-images/<model> names, by digest; a model without one runs from its zip. `make deploy` writes them. A model's own package takes their place. Read the versions that serve from the parameters below /<name_prefix>/kept-versions/, too."
  type        = bool
  nullable    = false

  # Here, since a validation of `models` can't read what is made of it. What an image holds is not seen from here.
  validation {
    condition     = var.images_from_parameters || length(local.missing_artifacts) == 0
    error_message = "models: there is no ${join(", no ", local.missing_artifacts)}. Put the file there and run `make package`, or set the model's artifact = \"s3://bucket/key\"."
  }

  validation {
    condition     = var.images_from_parameters || length(local.with_canary) == 0
    error_message = "${join(", ", local.with_canary)}: canary needs images_from_parameters = true. The version that serves beside a canary is stored in an SSM parameter too, which a plan reads only then; a worker without an image runs from its zip."
  }
}

variable "packages_dir" {
  description = "Folder of the built packages; null is build/packages of this repository."
  type        = string
  default     = null
  nullable    = true
}

variable "tls_only" {
  description = "Reject calls to the queues that do not come by TLS. Only an emulator that speaks plain HTTP needs false."
  type        = bool
  default     = true
  nullable    = false
}

variable "deletion_protection" {
  description = "Refuse to delete the request table, and the image repository while it holds images."
  type        = bool
  default     = true
  nullable    = false
}

variable "log_level" {
  description = "Lowest level that the functions log."
  type        = string
  default     = "INFO"
  nullable    = false

  validation {
    condition     = contains(["DEBUG", "INFO", "WARNING", "ERROR"], var.log_level)
    error_message = "log_level must be DEBUG, INFO, WARNING or ERROR."
  }
}

variable "log_retention_days" {
  description = "Days that every log is kept; one of the values CloudWatch Logs accepts."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be a number of days that CloudWatch Logs accepts, such as 7, 14, 30, 90 or 365."
  }
}

variable "kms_key_arn" {
  description = "KMS key that encrypts the request table, the queues, the logs, the images and the topic of the alarms; null is AWS's own keys. Its policy must be as docs/key-policy.json. Another value replaces the image repository, which is refused while it holds images and deletion_protection is on."
  type        = string
  default     = null
  nullable    = true

  validation {
    condition     = var.kms_key_arn == null ? true : can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a KMS key, not of an alias."
  }

  validation {
    condition     = try(split(":", var.kms_key_arn)[3] == data.aws_service.sqs.region, true)
    error_message = "kms_key_arn must be a key in the region of the stack, ${data.aws_service.sqs.region}: SQS, DynamoDB and the others accept no key of another one."
  }
}
