# The environment's settings, merged over the defaults. The defaults of all objects are in defaults.json only; it is JSON so
# that the scripts can read it too. A key that is not there is rejected, with its name.

locals {
  defaults = jsondecode(file("${path.module}/defaults.json"))

  requests     = merge(local.defaults.requests, var.requests)
  api          = merge(local.defaults.api, var.api)
  dead_letters = merge(local.defaults.dead_letters, var.dead_letters)
  sweeper      = merge(local.defaults.sweeper, var.sweeper)
  authorizer   = merge(local.defaults.authorizer, var.authorizer)
  monitoring   = merge(local.defaults.monitoring, var.monitoring)
  throttling   = merge(local.defaults.throttling, var.throttling)
  vpc          = var.vpc == null ? null : merge(local.defaults.vpc, var.vpc)
  cors         = var.cors == null ? null : merge(local.defaults.cors, var.cors)
  webhooks     = var.webhooks == null ? null : merge(local.defaults.webhooks, var.webhooks)

  has_api_keys = local.authorizer.type == "API_KEY"

  # Of the functions that serve all models; Lambda's size without a charge.
  default_ephemeral_storage_mb = 512
}

# The allowed types of each setting. If the default is null, the type is here, and null is allowed too.

locals {
  # The first character of a value as JSON -> what it is; a number has any other.
  kind_of = { "\"" = "a string", "[" = "a list", "{" = "an object", "t" = "true or false", "f" = "true or false", "n" = "null" }

  kinds_without_default = {
    authorizer = { issuer = "a string", audience = "a list" }
    monitoring = { alarm_models = "a list" }
    vpc        = { subnet_ids = "a list", security_group_ids = "a list" }
    triggers   = { bucket = "a string", caller = "a string", place = "a string", webhook = "a string", results = "an object", kms_key_arn = "a string" }
    webhooks   = { secret_arn = "a string", secret_kms_key_arn = "a string", default_url = "a string" }
    sync       = { memory_mb = "a number", max_batch_items = "a number", reserved_concurrency = "a number" }
    backend = {
      kind              = "a string"
      url               = "a string"
      api_url           = "a string"
      endpoint          = "a string"
      token_secret_arn  = "a string"
      token_kms_key_arn = "a string"
      gpu               = "a string"
      run_seconds       = "a number"
      start_seconds     = "a number"
    }
    models = {
      backend              = "an object"
      pool                 = "a string"
      sync                 = "an object"
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
    pools = {
      sync                 = "an object"
      package              = "an object"
      memory_mb            = "a number"
      timeout_seconds      = "a number"
      reserved_concurrency = "a number"
    }
  }

  kinds = { for name, settings in local.defaults : name => { for key, default in settings : key => compact([
    try(local.kinds_without_default[name][key], lookup(local.kind_of, substr(jsonencode(default), 0, 1), "a number")),
    default == null ? "null" : "",
  ]) } }

  # What a trigger's caller looks like, by the authorizer: lambda/inference/http/messages.py.
  caller_patterns = {
    NONE    = "^anonymous$"
    AWS_IAM = "^(iam:arn:[a-z-]+:(sts::[0-9]{12}:assumed-role/|iam::[0-9]{12}:(user/|root$))|cognito:)"
    JWT     = "^jwt:[^ ]+:[^ ]+$"
    API_KEY = "^key:[^ ]+$"
  }
  caller_examples = {
    NONE    = "null, or anonymous"
    AWS_IAM = "iam:arn:aws:sts::<account>:assumed-role/<role>, iam:arn:aws:iam::<account>:user/<user> or cognito:<pool>:<identity>"
    JWT     = "jwt:<issuer>:<subject>"
    API_KEY = "key:<name of the key>"
  }

  # Used instead of a value that is not an object: checkov's parser does not support the literal.
  no_settings = {}

  # What a model at a GPU provider has beside it: nothing else means anything to a dispatcher.
  dispatched_model_keys = ["backend", "source", "models_dir", "memory_mb", "maximum_concurrency", "reserved_concurrency"]

  # What a pool's model has of its own; the rest belongs to the function, which is the pool's.
  pooled_model_keys = ["pool", "source", "models_dir", "artifact"]

  # What `warmth` does not say of the ways that it names.
  warmth_defaults = {
    scheduled = { timezone = "UTC" }
    tracking  = { min = 1, target = 0.7 }
    warmer    = { environments = 1, schedule = "rate(5 minutes)" }
  }
  warmth = {
    for function, given in merge({ api = local.api.warmth }, { for name, worker in local.worker_settings : "worker-${name}" => worker.warmth }, { for name, sync in local.sync : "sync-${name}" => sync.warmth }) :
    function => merge(given, {
      for way, known in local.warmth_defaults :
      way => merge(known, { for key, value in given[way] : key => value if value != null }) if try(given[way], null) != null
    })
  }

  # In `warmth`, as the function module takes it: an object type would drop a misspelt one silently.
  warmth_keys = [
    "provisioned", "scheduled", "scheduled.concurrency", "scheduled.start", "scheduled.stop", "scheduled.timezone", "tracking",
    "tracking.min", "tracking.max", "tracking.target", "snap_start", "warmer", "warmer.environments", "warmer.schedule",
  ]

  package_keys = { zip = ["path", "handler", "runtime"], image = ["uri", "command"] }
}
