# What an environment gives, over the defaults. The objects that it may give have their defaults in defaults.json, here and
# nowhere else; it is JSON so that the scripts read it too. A key that is not there is rejected by its name.

locals {
  defaults = jsondecode(file("${path.module}/defaults.json"))

  requests     = merge(local.defaults.requests, var.requests)
  api          = merge(local.defaults.api, var.api)
  dead_letters = merge(local.defaults.dead_letters, var.dead_letters)
  sweeper      = merge(local.defaults.sweeper, var.sweeper)
  authorizer   = merge(local.defaults.authorizer, var.authorizer)
  throttling   = merge(local.defaults.throttling, var.throttling)
  cors         = var.cors == null ? null : merge(local.defaults.cors, var.cors)

  # Of the three functions that serve all models; it is what Lambda gives without a charge.
  default_ephemeral_storage_mb = 512
}

# The kinds of value that each setting takes. Where its default is null the kind is said here, and null is one.

locals {
  # The first character of a value as JSON -> what it is; a number has any other.
  kind_of = { "\"" = "a string", "[" = "a list", "{" = "an object", "t" = "true or false", "f" = "true or false", "n" = "null" }

  kinds_without_default = {
    authorizer = { issuer = "a string", audience = "a list" }
    models = {
      source               = "a string"
      models_dir           = "a string"
      artifact             = "a string"
      package              = "an object"
      memory_mb            = "a number"
      timeout_seconds      = "a number"
      batch_size           = "a number"
      batch_window_seconds = "a number"
      reserved_concurrency = "a number"
    }
  }

  kinds = { for name, settings in local.defaults : name => { for key, default in settings : key => compact([
    try(local.kinds_without_default[name][key], lookup(local.kind_of, substr(jsonencode(default), 0, 1), "a number")),
    default == null ? "null" : "",
  ]) } }

  # In the place of what is no object: checkov's parser stops at the literal.
  no_settings = {}

  package_keys = { zip = ["path", "handler", "runtime"], image = ["uri", "command"] }
}
