# Webhooks: docs/api.md says what a receiver gets, docs/deploy.md how they are set up.

variable "webhooks" {
  description = <<-TEXT
    Announce final requests to the URLs that clients name. null is none: a request that names one is rejected.
    secret_arn: of the secret in Secrets Manager, or the parameter in SSM, that they are signed with; secret_kms_key_arn: the key
    that encrypts it, where it is not AWS's. default_url: for requests whose client names none. maximum_concurrency: deliverers at
    a time, each with ten webhooks; memory_mb: of deliverer and relay. allow_loopback: for an emulator, whose receivers are on its machine.
  TEXT
  type        = any
  default     = null
  nullable    = true

  validation {
    condition     = length(setsubtract(keys(merge(var.webhooks)), keys(local.defaults.webhooks))) == 0
    error_message = "webhooks has ${join(", ", setsubtract(keys(merge(var.webhooks)), keys(local.defaults.webhooks)))}, which is no setting. There are ${join(", ", keys(local.defaults.webhooks))}."
  }

  validation {
    condition = alltrue([for key, value in merge(var.webhooks) : try(contains(local.kinds.webhooks[key], lookup(local.kind_of, substr(jsonencode(value), 0, 1), "a number")), true)])
    error_message = "webhooks: ${join(", ", [
      for key, value in merge(var.webhooks) : "${key} must be ${join(" or ", local.kinds.webhooks[key])}"
      if !try(contains(local.kinds.webhooks[key], lookup(local.kind_of, substr(jsonencode(value), 0, 1), "a number")), true)
    ])}."
  }

  validation {
    condition     = var.webhooks == null || try(merge(var.webhooks).secret_arn, null) != null
    error_message = "webhooks.secret_arn must be the ARN of a secret: receivers know by its signature who sent a webhook."
  }

  # The VPC that is made here has no way to the internet, and all functions are in it.
  validation {
    condition     = var.webhooks == null || var.vpc == null || contains(keys(merge(var.vpc)), "subnet_ids")
    error_message = "webhooks can't be sent from a VPC without a way to the internet. Give vpc the subnet_ids and security_group_ids of one that has it."
  }

  validation {
    condition     = var.webhooks == null || !contains(concat(keys(var.models), keys(var.pools)), "webhooks")
    error_message = "With webhooks, no model and no pool can be called webhooks: the deliverer's queue has that name."
  }
}
