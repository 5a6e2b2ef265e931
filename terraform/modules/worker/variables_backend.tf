# Of a dispatcher.

variable "backend" {
  description = <<-TEXT
    Where the model runs, for a dispatcher; null for a worker that runs models itself. settings: kind, url, api_url, endpoint
    and token_secret_arn of the provider, as `models` of the stack describes them; poll_seconds, between two looks; callbacks,
    whether the provider is given an address to call; gpu, run_seconds, start_seconds, for `make cost`. token_kms_key_arn: of the key that encrypts the secret. api_url: of this
    deployment's API. deadline_seconds: of requests.
  TEXT
  type = object({
    settings = object({
      kind             = string
      url              = optional(string)
      api_url          = optional(string)
      endpoint         = optional(string)
      token_secret_arn = string
      poll_seconds     = object({ min = number, max = number })
      callbacks        = bool
      gpu              = optional(string)
      run_seconds      = optional(number)
      start_seconds    = optional(number)
    })
    token_kms_key_arn = optional(string)
    api_url           = string
    deadline_seconds  = number
  })
  nullable = true

  validation {
    condition     = var.backend == null ? true : contains(["beam", "cog", "modal", "replicate", "runpod"], coalesce(try(var.backend.settings.kind, null), "none"))
    error_message = "${var.label}: backend.kind must be beam, cog, modal, replicate or runpod."
  }

  validation {
    condition     = try(!contains(["replicate", "runpod"], var.backend.settings.kind) || var.backend.settings.endpoint != null, true)
    error_message = "${var.label}: backend.endpoint is missing: the id of RunPod's endpoint, or Replicate's owner/name, owner/name:version or deployments/owner/name."
  }

  validation {
    condition     = try(!contains(["beam", "cog", "modal"], var.backend.settings.kind) || var.backend.settings.url != null, true)
    error_message = "${var.label}: backend.url is missing: the address at which ${coalesce(try(var.backend.settings.kind, null), "the provider")} serves the model."
  }

  # The provider's token is sent there. This machine: for tests.
  validation {
    condition = try(alltrue([
      for url in [var.backend.settings.url, var.backend.settings.api_url] : url == null ? true : can(regex("^(https://[^/?#]+|http://127[.]0[.]0[.]1(:[0-9]+)?)(/[^?#]*)?$", url))
    ]), true)
    error_message = "${var.label}: backend.url and backend.api_url must begin with https://: the provider's token is sent to them."
  }

  validation {
    condition     = var.backend == null ? true : can(regex("^arn:[a-z-]+:(secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:|ssm:[a-z0-9-]+:[0-9]{12}:parameter/).+$", var.backend.settings.token_secret_arn))
    error_message = "${var.label}: backend.token_secret_arn must be the ARN of a secret in Secrets Manager, or of a parameter in SSM, that has the provider's token."
  }

  validation {
    condition     = try(var.backend.token_kms_key_arn, null) == null ? true : can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.backend.token_kms_key_arn))
    error_message = "${var.label}: backend.token_kms_key_arn must be the ARN of a KMS key, not of an alias."
  }

  # Providers keep a result for half an hour and more.
  validation {
    condition = try(
      var.backend.settings.poll_seconds.min >= 1 && var.backend.settings.poll_seconds.min <= var.backend.settings.poll_seconds.max && var.backend.settings.poll_seconds.max <= 900 &&
      floor(var.backend.settings.poll_seconds.min) == var.backend.settings.poll_seconds.min && floor(var.backend.settings.poll_seconds.max) == var.backend.settings.poll_seconds.max,
    true)
    error_message = "${var.label}: backend.poll_seconds must be whole numbers, min from 1 to max, and max at most 900: RunPod keeps a result for 30 minutes only."
  }

  # Each look is a receive of the message, of which SQS allows a thousand.
  validation {
    condition     = try(var.backend.deadline_seconds / var.backend.settings.poll_seconds.max <= 800, true)
    error_message = "${var.label}: backend.poll_seconds.max must be at least requests.deadline_seconds / 800: each look is a receive of the message, of which SQS allows a thousand."
  }

  validation {
    condition     = try(var.backend.settings.kind != "cog" || var.backend.settings.callbacks, true)
    error_message = "${var.label}: backend.callbacks must be true for cog: nothing but a callback tells the outcome of its runs."
  }
}
