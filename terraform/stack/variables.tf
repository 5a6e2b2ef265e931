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
  type = map(object({
    source     = optional(string)
    models_dir = optional(string)
    artifact   = optional(string)
    package = optional(object({
      zip = optional(object({
        path    = string
        handler = optional(string, "worker.handler.handler")
        runtime = optional(string, "python3.13")
      }))
      image = optional(object({
        uri     = string
        command = optional(list(string))
      }))
    }))
    memory_mb               = optional(number)
    ephemeral_storage_mb    = optional(number, 512)
    timeout_seconds         = optional(number)
    batch_size              = optional(number)
    batch_window_seconds    = optional(number)
    maximum_concurrency     = optional(number, 10)
    provisioned_concurrency = optional(number, 0)
    reserved_concurrency    = optional(number)
    read_buckets            = optional(list(string), [])
    read_kms_key_arns       = optional(list(string), [])
    environment             = optional(map(string), {})
  }))
  nullable = false

  validation {
    condition     = length(var.models) > 0
    error_message = "models must name at least one model."
  }

  validation {
    condition     = alltrue([for name in keys(var.models) : can(regex("^[a-z][a-z0-9-]{0,30}$", name)) && !endswith(name, "-dlq")])
    error_message = "models: a name must be 1 to 31 lower-case letters, digits and hyphens, start with a letter and not end in -dlq."
  }

  # These two reach the queue's module as well, whose messages can't name the model. The worker's module checks the rest.
  validation {
    condition = alltrue([for model in values(var.models) : model.timeout_seconds == null ? true :
      model.timeout_seconds >= 3 && model.timeout_seconds <= 900 && floor(model.timeout_seconds) == model.timeout_seconds
    ])
    error_message = "models: timeout_seconds must be a whole number from 3 to 900; given are ${join(", ", [
      for name, model in var.models : "${name} = ${model.timeout_seconds}" if model.timeout_seconds != null
    ])}."
  }

  validation {
    condition = alltrue([for model in values(var.models) : model.batch_window_seconds == null ? true :
      model.batch_window_seconds >= 0 && model.batch_window_seconds <= 300 && floor(model.batch_window_seconds) == model.batch_window_seconds
    ])
    error_message = "models: batch_window_seconds must be a whole number from 0 to 300; given are ${join(", ", [
      for name, model in var.models : "${name} = ${model.batch_window_seconds}" if model.batch_window_seconds != null
    ])}."
  }

  # Spelled out, since a validation must not read the locals that are made of its variable.
  validation {
    condition = alltrue([
      for name, model in var.models :
      fileexists("${coalesce(model.models_dir, var.models_dir, "${path.module}/../../worker/models")}/${coalesce(model.source, name)}/manifest.json")
    ])
    error_message = "models: no manifest of ${join(", ", [
      for name, model in var.models : name
      if !fileexists("${coalesce(model.models_dir, var.models_dir, "${path.module}/../../worker/models")}/${coalesce(model.source, name)}/manifest.json")
    ])}: <models_dir>/<source>/manifest.json is missing. Set the model's source or models_dir, or put its folder there."
  }

  validation {
    condition     = length(jsonencode({ for name, model in var.models : name => coalesce(model.source, name) })) <= 3000
    error_message = "models: names and sources take more than the 3000 characters that fit in Lambda's 4 KB environment. Shorten names or use a second stack."
  }
}

variable "default_model" {
  description = "Model that POST /predict, without a name, goes to."
  type        = string
  nullable    = false

  validation {
    condition     = contains(keys(var.models), var.default_model)
    error_message = "default_model must be one of models: ${join(", ", keys(var.models))}."
  }
}

variable "images_from_parameters" {
  description = "Run each model from the image that the SSM parameter /<name_prefix>/worker-images/<model> names, by digest; a model without one runs from its zip. `make deploy` writes them. worker_images takes their place."
  type        = bool
  default     = false
  nullable    = false
}

variable "worker_images" {
  description = "Model name to the image that runs it, by digest. null: what images_from_parameters says; else every model without a package of its own must be here."
  type        = map(string)
  default     = null

  validation {
    condition     = length(setsubtract(keys(coalesce(var.worker_images, {})), keys(var.models))) == 0
    error_message = "worker_images names what is not in models."
  }

  validation {
    condition     = var.worker_images == null ? true : alltrue([for name, model in var.models : contains(keys(var.worker_images), name) != (model.package != null)])
    error_message = "worker_images must name every model that has no package of its own, and no other: models = ${join(", ", keys(var.models))}."
  }

  validation {
    condition     = alltrue([for uri in values(coalesce(var.worker_images, {})) : can(regex("@sha256:[0-9a-f]{64}$", uri))])
    error_message = "worker_images must be named by digest (repository@sha256:<64 hex digits>): a tag can move without a deploy."
  }

  # Here, since a validation of `models` can't read what is made of it. What an image holds is not seen from here.
  validation {
    condition     = var.worker_images != null || var.images_from_parameters || length(local.missing_artifacts) == 0
    error_message = "models: there is no ${join(", no ", local.missing_artifacts)}. Put the file there and run `make package`, or set the model's artifact = \"s3://bucket/key\"."
  }
}

variable "models_dir" {
  description = "Folder of the models' folders; null is worker/models of this repository."
  type        = string
  default     = null
}

variable "packages_dir" {
  description = "Folder of the built packages; null is build/packages of this repository."
  type        = string
  default     = null
}

variable "lambda_package" {
  description = "Zip with the api, dead_letters and sweeper functions; null is lambda.zip among the built packages."
  type        = string
  default     = null
}

variable "architecture" {
  description = "Instruction set of every function: what the packages are built for."
  type        = string
  default     = "x86_64"
  nullable    = false

  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "architecture must be x86_64 or arm64."
  }
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

  validation {
    # The input is a JSON string inside the message: with every character escaped it must still fit in 262144 bytes.
    condition     = var.requests.max_body_bytes >= 1 && var.requests.max_body_bytes <= 131072
    error_message = "requests.max_body_bytes must be from 1 to 131072: the message with the input must fit in SQS's 262144 bytes."
  }

  validation {
    condition     = var.requests.max_body_depth >= 1 && var.requests.max_body_depth <= 100
    error_message = "requests.max_body_depth must be from 1 to 100."
  }

  validation {
    condition     = var.requests.max_attempts >= 1 && var.requests.max_attempts < var.requests.max_receive_count
    error_message = "requests.max_attempts must be at least 1 and below requests.max_receive_count: the worker, not SQS, gives up first."
  }

  validation {
    condition     = var.requests.max_receive_count >= 5 && var.requests.max_receive_count <= 1000
    error_message = "requests.max_receive_count must be from 5 to 1000."
  }

  validation {
    condition     = var.requests.deadline_seconds >= 60 && var.requests.deadline_seconds <= 1209600
    error_message = "requests.deadline_seconds must be from 60 to 1209600: SQS keeps no message longer than 14 days."
  }

  validation {
    condition     = var.requests.retention_seconds >= var.requests.deadline_seconds
    error_message = "requests.retention_seconds must be at least requests.deadline_seconds: a record must outlive its request."
  }

  validation {
    condition     = var.requests.retry_base_seconds >= 0 && var.requests.retry_base_seconds <= var.requests.retry_max_seconds && var.requests.retry_max_seconds <= 43200
    error_message = "requests.retry_base_seconds must be from 0 to requests.retry_max_seconds, and that at most 43200."
  }
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

  validation {
    # Below 7 s there may be no time for a call to AWS and, if that hangs, for the answer (inference/deadline.py).
    condition     = var.api.timeout_seconds >= 7 && var.api.timeout_seconds <= 29
    error_message = "api.timeout_seconds must be from 7 to 29: a call to AWS that hangs has to end before it, and HTTP API waits 30 s for an answer."
  }
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

  validation {
    condition     = can(regex("^(rate\\((1 (minute|hour|day)|([2-9]|[1-9][0-9]+) (minutes|hours|days))\\)|cron\\(.+\\))$", var.sweeper.schedule))
    error_message = "sweeper.schedule must be an EventBridge schedule, such as rate(1 minute), rate(5 minutes) or cron(...)."
  }

  validation {
    condition     = var.sweeper.grace_seconds >= 30
    error_message = "sweeper.grace_seconds must be at least 30: a submit writes its record and its message one after the other."
  }
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

  validation {
    condition     = contains(["NONE", "AWS_IAM", "JWT"], var.authorizer.type)
    error_message = "authorizer.type must be NONE, AWS_IAM or JWT."
  }

  validation {
    condition     = contains(["role", "session"], var.authorizer.caller) && (var.authorizer.caller == "role" || var.authorizer.type == "AWS_IAM")
    error_message = "authorizer.caller must be role or, with type AWS_IAM only, session."
  }
}

variable "api_url" {
  description = "Base URL that clients call, when a domain of your own stands before the API; null is API Gateway's own."
  type        = string
  default     = null

  validation {
    condition     = var.api_url == null ? true : can(regex("^https://[^/?#]+(/[^?#]*[^/?#])?$", var.api_url))
    error_message = "api_url must be null or an https:// URL without a slash at the end, such as https://inference.example.com."
  }
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
