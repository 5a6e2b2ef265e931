# The models, their code, and what that may read.

variable "pool" {
  description = "The pool that the models are in, under whose name their metrics are counted together; null for a model with a worker of its own."
  type        = string
  nullable    = true
}

variable "label" {
  description = "What error messages and the function's description call the worker, such as Model sentiment or Pool experiments."
  type        = string
  nullable    = false
}

variable "models" {
  description = <<-TEXT
    The models, by the name they have in /predict/{model}. source: the folder under worker/models/ that one comes from.
    artifact: where its artifact is, as s3://bucket/key; it must have the SHA-256 of the manifest, or the one that
    #sha256=<hex> after it names. null is the one inside the package.
  TEXT
  type = map(object({
    source   = string
    artifact = optional(string)
  }))
  nullable = false

  validation {
    condition     = length(var.models) > 0
    error_message = "${var.label}: models must name at least one model."
  }

  validation {
    condition     = alltrue([for word in concat(keys(var.models), values(var.models)[*].source) : can(regex("^[a-z][a-z0-9-]{0,30}$", word)) && !endswith(word, "-dlq")])
    error_message = "${var.label}: the name and the source of a model must be 1 to 31 lower-case letters, digits and hyphens, start with a letter and not end in -dlq: ${join(", ", distinct(concat(keys(var.models), values(var.models)[*].source)))}."
  }

  validation {
    condition     = alltrue([for model in values(var.models) : model.artifact == null ? true : can(regex("^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/[^*?#$]+(#sha256=[0-9a-f]{64})?$", model.artifact))])
    error_message = "${var.label}: the artifact of ${join(", ", [for name, model in var.models : name if model.artifact != null])} must be null or s3://bucket/key, naming one object, with nothing or #sha256=<64 hex digits> after it."
  }
}

variable "package" {
  description = "The worker's code, as the function module takes it: a zip file or an image by digest."
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

variable "read_buckets" {
  description = "Where the model's code may read in S3, as s3://bucket/prefix/; s3://bucket/ is the whole bucket."
  type        = list(string)
  nullable    = false

  validation {
    condition     = alltrue([for uri in var.read_buckets : can(regex("^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/([^*?#$]*/)?$", uri))])
    error_message = "${var.label}: read_buckets must be s3://bucket/prefix/ with a slash at the end and no wildcard: ${join(", ", var.read_buckets)}."
  }

  validation {
    condition     = length(var.read_buckets) == length(distinct(var.read_buckets))
    error_message = "${var.label}: read_buckets names a place twice: ${join(", ", var.read_buckets)}."
  }
}

variable "read_kms_key_arns" {
  description = "KMS keys that encrypt what the worker reads in S3, where the bucket does not use S3's own or AWS's managed key."
  type        = list(string)
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.read_kms_key_arns : can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", arn))])
    error_message = "${var.label}: read_kms_key_arns must be ARNs of KMS keys, not of aliases: ${join(", ", var.read_kms_key_arns)}."
  }

  validation {
    condition     = length(var.read_kms_key_arns) == 0 || length(local.artifacts) > 0 || length(var.read_buckets) > 0
    error_message = "${var.label}: read_kms_key_arns is for what is read in S3: set a model's artifact or read_buckets, or leave it out."
  }
}
