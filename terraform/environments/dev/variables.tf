# The same file in every environment; terraform.tfvars is what differs. The stack validates what is passed to it.

variable "project" {
  description = "First word of every name."
  type        = string
  default     = "inference"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,14}$", var.project))
    error_message = "project must be 2 to 15 lower-case letters and digits, and start with a letter."
  }
}

variable "environment" {
  description = "Second word of every name."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,8}$", var.environment))
    error_message = "environment must be 2 to 9 lower-case letters and digits, and start with a letter."
  }
}

variable "region" {
  description = "AWS region; null is the one that AWS_REGION or the profile names."
  type        = string
  default     = null

  validation {
    condition     = var.region == null ? true : can(regex("^[a-z]{2,4}(-[a-z]+)+-[0-9]+$", var.region))
    error_message = "region must be null or a region's name, such as us-east-1."
  }
}

variable "models" {
  description = <<-TEXT
    The models, by the name they have in /predict/{model}. Everything is optional; what is not said comes from the model's
    manifest, worker/models/<source>/manifest.json.
    source: the model's folder, when it is not the name. models_dir: where that folder is, when not in worker/models.
    artifact: s3://bucket/key, when it is not in the package; #sha256=<hex> after it, when it is not the manifest's.
    package: a zip or an image by digest, when not the built zip.
    read_buckets: where the model's code may read in S3, as s3://bucket/prefix/. read_kms_key_arns: the keys that encrypt
    what it reads there, the artifact included. environment: variables of its own.
  TEXT
  # The stack has the type. With it here as well Terraform would drop what it doesn't know, a misspelt setting, in silence.
  type     = any
  nullable = false

  validation {
    condition = alltrue([for name, model in var.models : length(setsubtract(try(keys(model), []), local.model_settings)) == 0])
    error_message = "models: ${join(", ", flatten([
      for name, model in var.models : [for key in setsubtract(try(keys(model), []), local.model_settings) : "${name} has ${key}"]
    ]))}, which is no setting. There are ${join(", ", local.model_settings)}."
  }
}

locals {
  model_settings = [
    "source", "models_dir", "artifact", "package", "memory_mb", "ephemeral_storage_mb", "timeout_seconds", "batch_size",
    "batch_window_seconds", "maximum_concurrency", "provisioned_concurrency", "reserved_concurrency", "read_buckets",
    "read_kms_key_arns", "environment",
  ]
}

variable "default_model" {
  description = "Model that POST /predict, without a name, goes to."
  type        = string
  nullable    = false
}

variable "images_from_parameters" {
  description = "Run each model from the image that `make deploy` has written into an SSM parameter; a model without one runs from its zip."
  type        = bool
  default     = true
  nullable    = false
}

variable "worker_images" {
  description = "Model name to the image that runs it, by digest. null: what images_from_parameters says; else every model without a package of its own must be here."
  type        = map(string)
  default     = null
}

variable "packages_dir" {
  description = "Folder of the built packages; null is build/packages of this repository."
  type        = string
  default     = null
}

variable "architecture" {
  description = "Instruction set of every function: what the packages are built for."
  type        = string
  default     = "x86_64"
  nullable    = false
}

variable "requests" {
  description = <<-TEXT
    Limits and times of a request.
    max_body_bytes and max_body_depth: what POST accepts.
    max_attempts: tries by a worker before the request fails;
    max_receive_count: receives before SQS gives its message up; two more than a batch has messages, since each neighbour
    that kills its worker costs one. deadline_seconds: after the submit, when it expires.
    retention_seconds: how long its record is kept. retry_*: the growing pause after a failure that may pass.
  TEXT
  type = object({
    max_body_bytes     = optional(number, 131072)
    max_body_depth     = optional(number, 32)
    max_attempts       = optional(number, 5)
    max_receive_count  = optional(number, 12)
    deadline_seconds   = optional(number, 86400)
    retention_seconds  = optional(number, 604800)
    retry_base_seconds = optional(number, 2)
    retry_max_seconds  = optional(number, 300)
  })
  default  = {}
  nullable = false
}

variable "api" {
  description = "Size of the api function, and how many of it are kept warm."
  type = object({
    memory_mb               = optional(number, 512)
    timeout_seconds         = optional(number, 10)
    provisioned_concurrency = optional(number, 0)
  })
  default  = {}
  nullable = false
}

variable "dead_letters" {
  description = "Size of the dead_letters function."
  type = object({
    memory_mb       = optional(number, 256)
    timeout_seconds = optional(number, 30)
  })
  default  = {}
  nullable = false
}

variable "sweeper" {
  description = "Size of the sweeper function, when it runs, and how old a request must be before it looks at it."
  type = object({
    memory_mb       = optional(number, 256)
    timeout_seconds = optional(number, 60)
    schedule        = optional(string, "rate(5 minutes)")
    grace_seconds   = optional(number, 900)
  })
  default  = {}
  nullable = false
}

variable "authorizer" {
  description = <<-TEXT
    type: who may call the API: AWS_IAM, JWT (with issuer and audience) or NONE, which has to be said.
    caller: with AWS_IAM, whose a request is when an assumed role signs it: the role's, in whatever session, or the session's
    (a person's, with IAM Identity Center).
  TEXT
  type = object({
    type     = string
    issuer   = optional(string)
    audience = optional(list(string))
    caller   = optional(string, "role")
  })
  default  = { type = "AWS_IAM" }
  nullable = false
}

variable "api_url" {
  description = "Base URL that clients call, when a domain of your own stands before the API; null is API Gateway's own."
  type        = string
  default     = null
}

variable "throttling" {
  description = "Limit of each route: requests a second (rate) and how many may come at once (burst)."
  type = object({
    burst = optional(number, 100)
    rate  = optional(number, 50)
  })
  default  = {}
  nullable = false
}

variable "cors" {
  description = "Which web pages of other origins may call the API; null is none."
  type = object({
    allow_origins = list(string)
    allow_methods = optional(list(string), ["GET", "POST"])
    allow_headers = optional(list(string), [
      "authorization", "content-type", "idempotency-key", "prefer",
      "x-amz-content-sha256", "x-amz-date", "x-amz-security-token", # of a request that is signed in the browser
    ])
    expose_headers  = optional(list(string), ["location", "retry-after"])
    max_age_seconds = optional(number, 300)
  })
  default = null
}

variable "tls_only" {
  description = "Refuse calls to the queues that do not come by TLS. Only an emulator that speaks plain HTTP needs false."
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
}

variable "log_retention_days" {
  description = "Days that every log is kept; one of the values CloudWatch Logs accepts."
  type        = number
  default     = 30
  nullable    = false
}
