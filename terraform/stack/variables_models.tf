# The models. Any type: an object type would drop a misspelt setting silently.

variable "models" {
  description = <<-TEXT
    The models, by the name they have in /predict/{model}. Everything is optional; what is not said comes from the model's
    manifest (memory_mb, timeout_seconds, batch_size, batch_window_seconds), worker/models/<source>/manifest.json, else from
    defaults.json.
    pool: the one of `pools` that it runs in, with a queue and a worker in common; without one it has its own. A pool's model
    takes source, models_dir and artifact; its pool has the rest.
    backend: the GPU provider that it runs at, instead of Lambda. kind: beam, cog, modal, replicate or runpod; url: where its own
    server or app is, endpoint: RunPod's endpoint or Replicate's model; token_secret_arn: the secret that has the provider's token,
    token_kms_key_arn: the key of one's own that encrypts it. poll_seconds: { min, max } between two looks; callbacks: whether the
    provider calls when a run is over; api_url: of the provider's API, where it is not the usual one. gpu, run_seconds,
    start_seconds: for `make cost`. What the manifest's `backend` says need not be repeated. Such a model takes no other settings
    than source, models_dir, memory_mb, maximum_concurrency and reserved_concurrency.
    source: the model's folder, when it is not the name. models_dir: where that folder is, when not in worker/models.
    artifact: s3://bucket/key, when it is not in the package; #sha256=<hex> after it, when it is not the manifest's.
    package: { zip = { path, handler, runtime } } or { image = { uri, command } } by digest, when not the built zip.
    read_buckets: where the model's code may read in S3, as s3://bucket/prefix/. read_kms_key_arns: the keys that encrypt
    what it reads there, the artifact included. environment: variables of its own. maximum_concurrency,
    reserved_concurrency, ephemeral_storage_mb: of its function. warmth: what keeps environments of it ready, one of
    { provisioned = n }, { scheduled = { concurrency, start, stop, timezone } }, { tracking = { min, max, target } },
    { snap_start = true } and { warmer = { environments, schedule } }; the last two go together, too. canary: the share of the
    invocations that a new version gets until `make promote`, as 0.1; 0 is all at once.
    sync: also predict for callers that wait, by a function of its own and POST /models/{model}/predict: {}, or memory_mb (the
    worker's), timeout_seconds (29), max_batch_items (the manifest's batch_size), reserved_concurrency and warmth of that function.
  TEXT
  type        = any
  nullable    = false

  validation {
    condition     = length(var.models) > 0
    error_message = "models must name at least one model."
  }

  validation {
    condition     = alltrue([for name in keys(var.models) : can(regex("^[a-z][a-z0-9-]{0,30}$", name)) && !endswith("-${name}", "-dlq")])
    error_message = "models: a name must be 1 to 31 lower-case letters, digits and hyphens, start with a letter, not be dlq and not end in -dlq."
  }

  validation {
    condition     = !contains(concat(keys(var.models), keys(var.pools)), "batches")
    error_message = "models: no model and no pool can be called batches: the batches function's queue has that name."
  }

  validation {
    condition     = alltrue([for model in values(var.models) : can(keys(model))])
    error_message = "models: ${join(", ", [for name, model in var.models : name if !can(keys(model))])} must be an object, such as {}."
  }

  validation {
    condition = alltrue([for model in values(var.models) : length(setsubtract(try(keys(model), []), keys(local.defaults.models))) == 0])
    error_message = "models: ${join(", ", flatten([
      for name, model in var.models : [for key in setsubtract(try(keys(model), []), keys(local.defaults.models)) : "${name} has ${key}"]
    ]))}, which is no setting. There are ${join(", ", keys(local.defaults.models))}."
  }

  validation {
    condition = alltrue(flatten([
      for model in values(var.models) : [for key, value in try(merge(model), local.no_settings) : try(contains(local.kinds.models[key], lookup(local.kind_of, substr(jsonencode(value), 0, 1), "a number")), true)]
    ]))
    error_message = "models: ${join(", ", flatten([for name, model in var.models : [
      for key, value in try(merge(model), local.no_settings) : "${name}.${key} must be ${join(" or ", local.kinds.models[key])}"
      if !try(contains(local.kinds.models[key], lookup(local.kind_of, substr(jsonencode(value), 0, 1), "a number")), true)
    ]]))}."
  }

  validation {
    condition = alltrue(flatten([for model in values(var.models) : [
      for kind, package in try(merge(model.package), local.no_settings) : length(setsubtract(try(keys(package), []), try(local.package_keys[kind], []))) == 0 && contains(keys(local.package_keys), kind)
    ]]))
    error_message = "models: the package of ${join(", ", [for name, model in var.models : name if try(length(model.package) > 0, false)])} must be { zip = { ${join(", ", local.package_keys.zip)} } } or { image = { ${join(", ", local.package_keys.image)} } }, with no other key."
  }

  validation {
    condition = length(flatten([for model in values(var.models) : [
      for key, value in try(merge(model.warmth), local.no_settings) : [for path in concat([key], try([for inner in keys(value) : "${key}.${inner}"], [])) : path if !contains(local.warmth_keys, path)]
    ]])) == 0
    error_message = "models: ${join(", ", flatten([for name, model in var.models : [
      for key, value in try(merge(model.warmth), local.no_settings) : [for path in concat([key], try([for inner in keys(value) : "${key}.${inner}"], [])) : "${name}.warmth.${path}" if !contains(local.warmth_keys, path)]
    ]]))}, which is no setting. There are ${join(", ", local.warmth_keys)}."
  }

  validation {
    condition = alltrue([for model in values(var.models) : length(setsubtract(try(keys(model.backend), []), keys(local.defaults.backend))) == 0])
    error_message = "models: ${join(", ", flatten([
      for name, model in var.models : [for key in setsubtract(try(keys(model.backend), []), keys(local.defaults.backend)) : "${name}.backend has ${key}"]
    ]))}, which is no setting. There are ${join(", ", keys(local.defaults.backend))}."
  }

  validation {
    condition = alltrue(flatten([
      for model in values(var.models) : [for key, value in try(merge(model.backend), local.no_settings) : try(contains(local.kinds.backend[key], lookup(local.kind_of, substr(jsonencode(value), 0, 1), "a number")), true)]
    ]))
    error_message = "models: ${join(", ", flatten([for name, model in var.models : [
      for key, value in try(merge(model.backend), local.no_settings) : "${name}.backend.${key} must be ${join(" or ", local.kinds.backend[key])}"
      if !try(contains(local.kinds.backend[key], lookup(local.kind_of, substr(jsonencode(value), 0, 1), "a number")), true)
    ]]))}."
  }

  validation {
    condition = alltrue(flatten([for model in values(var.models) : [
      for key, value in try(merge(model.backend.poll_seconds), local.no_settings) : contains(["min", "max"], key) && can(value + 0)
    ]]))
    error_message = "models: backend.poll_seconds of ${join(", ", [for name, model in var.models : name if try(length(model.backend.poll_seconds) > 0, false)])} must be { min, max }, both numbers, with no other key."
  }

  validation {
    condition = alltrue(flatten([for model in values(var.models) : [
      for key, value in try(merge(model), local.no_settings) : value == null || contains(local.dispatched_model_keys, key)
    ] if try(model.backend, null) != null]))
    error_message = "models: ${join(", ", flatten([for name, model in var.models : [
      for key, value in try(merge(model), local.no_settings) : "${name}.${key}" if value != null && !contains(local.dispatched_model_keys, key)
    ] if try(model.backend, null) != null]))}: a model with a backend runs at its provider, and this is a setting of a worker in Lambda. Remove it, or backend."
  }

  # The VPC that is made here has no way to the internet, and all functions are in it.
  validation {
    condition     = length([for model in values(var.models) : model if try(model.backend, null) != null]) == 0 || var.vpc == null || contains(keys(merge(var.vpc)), "subnet_ids")
    error_message = "models: a backend can't be reached from a VPC without a way to the internet. Give vpc the subnet_ids and security_group_ids of one that has it."
  }

  validation {
    condition     = length(jsonencode([for name, model in var.models : [name, try(coalesce(model.source), name), model.backend] if try(model.backend, null) != null])) <= 2600
    error_message = "models: the backends take more than the 2600 characters that fit in Lambda's 4 KB environment. Use a second stack."
  }

  validation {
    condition     = alltrue([for model in values(var.models) : contains(keys(var.pools), model.pool) if try(model.pool, null) != null])
    error_message = "models: ${join(", ", [for name, model in var.models : "${name} is in the pool ${model.pool}" if try(!contains(keys(var.pools), model.pool), false)])}, which is not in pools. There are ${join(", ", keys(var.pools))}."
  }

  validation {
    condition = alltrue(flatten([for model in values(var.models) : [
      for key, value in try(merge(model), local.no_settings) : value == null || contains(local.pooled_model_keys, key)
    ] if try(model.pool, null) != null]))
    error_message = "models: ${join(", ", flatten([for name, model in var.models : [
      for key, value in try(merge(model), local.no_settings) : "${name}.${key}" if value != null && !contains(local.pooled_model_keys, key)
    ] if try(model.pool, null) != null]))}: one function runs all models of a pool, so this is a setting of the pool. Move it to pools, or take the model out of its pool."
  }

  validation {
    condition     = alltrue([for pool in keys(var.pools) : anytrue([for model in values(var.models) : try(model.pool == pool, false)])])
    error_message = "pools: no model is in ${join(", ", [for pool in keys(var.pools) : pool if !anytrue([for model in values(var.models) : try(model.pool == pool, false)])])}. Remove it, or set pool on a model."
  }

  validation {
    condition     = length(setintersection(keys(var.pools), keys(var.models))) == 0
    error_message = "pools: ${join(", ", setintersection(keys(var.pools), keys(var.models)))} is the name of a model too. Queues and functions are named after both: give the pool another name."
  }

  validation {
    condition = length(flatten([for settings in merge(var.models, var.pools) : [for key in try(keys(settings.sync), []) : key if !contains(keys(local.defaults.sync), key)]])) == 0
    error_message = "sync: ${join(", ", flatten([
      for name, settings in merge(var.models, var.pools) : [for key in try(keys(settings.sync), []) : "${name}.sync has ${key}" if !contains(keys(local.defaults.sync), key)]
    ]))}, which is no setting. There are ${join(", ", keys(local.defaults.sync))}."
  }

  validation {
    condition = alltrue(flatten([
      for settings in merge(var.models, var.pools) : [for key, value in try(merge(settings.sync), local.no_settings) : try(contains(local.kinds.sync[key], lookup(local.kind_of, substr(jsonencode(value), 0, 1), "a number")), true)]
    ]))
    error_message = "sync: ${join(", ", flatten([for name, settings in merge(var.models, var.pools) : [
      for key, value in try(merge(settings.sync), local.no_settings) : "${name}.sync.${key} must be ${join(" or ", local.kinds.sync[key])}"
      if !try(contains(local.kinds.sync[key], lookup(local.kind_of, substr(jsonencode(value), 0, 1), "a number")), true)
    ]]))}."
  }

  validation {
    condition = length(flatten([for settings in merge(var.models, var.pools) : [
      for key, value in try(merge(settings.sync.warmth), local.no_settings) : [for path in concat([key], try([for inner in keys(value) : "${key}.${inner}"], [])) : path if !contains(local.warmth_keys, path)]
    ]])) == 0
    error_message = "sync: ${join(", ", flatten([for name, settings in merge(var.models, var.pools) : [
      for key, value in try(merge(settings.sync.warmth), local.no_settings) : [for path in concat([key], try([for inner in keys(value) : "${key}.${inner}"], [])) : "${name}.sync.warmth.${path}" if !contains(local.warmth_keys, path)]
    ]]))}, which is no setting. There are ${join(", ", local.warmth_keys)}."
  }

  validation {
    condition = alltrue([for settings in merge(var.models, var.pools) : try(
      settings.sync.timeout_seconds >= 3 && settings.sync.timeout_seconds <= 29 && floor(settings.sync.timeout_seconds) == settings.sync.timeout_seconds, true
    )])
    error_message = "sync: timeout_seconds must be a whole number from 3 to 29, since an HTTP API ends every call at 30 s; what takes longer is submitted asynchronously. Given are ${join(", ", [
      for name, settings in merge(var.models, var.pools) : "${name}.sync.timeout_seconds = ${settings.sync.timeout_seconds}" if can(settings.sync.timeout_seconds + 0)
    ])}."
  }

  # These two reach the queue's module as well, whose messages can't name the model. The worker's module checks the rest.
  validation {
    condition = alltrue([for model in values(var.models) : try(
      model.timeout_seconds >= 3 && model.timeout_seconds <= 900 && floor(model.timeout_seconds) == model.timeout_seconds, true
    )])
    error_message = "models: timeout_seconds must be a whole number from 3 to 900; given are ${join(", ", [
      for name, model in var.models : "${name} = ${model.timeout_seconds}" if can(model.timeout_seconds + 0)
    ])}."
  }

  validation {
    condition = alltrue([for model in values(var.models) : try(
      model.batch_window_seconds >= 0 && model.batch_window_seconds <= 300 && floor(model.batch_window_seconds) == model.batch_window_seconds, true
    )])
    error_message = "models: batch_window_seconds must be a whole number from 0 to 300; given are ${join(", ", [
      for name, model in var.models : "${name} = ${model.batch_window_seconds}" if can(model.batch_window_seconds + 0)
    ])}."
  }

  # Spelled out, since a validation must not read the locals that are made of its variable.
  validation {
    condition = alltrue([
      for name, model in var.models :
      fileexists("${try(coalesce(model.models_dir), "${path.module}/../../worker/models")}/${try(coalesce(model.source), name)}/manifest.json")
      if can(keys(model))
    ])
    error_message = "models: no manifest of ${join(", ", [
      for name, model in var.models : name
      if can(keys(model)) && !fileexists("${try(coalesce(model.models_dir), "${path.module}/../../worker/models")}/${try(coalesce(model.source), name)}/manifest.json")
    ])}: <models_dir>/<source>/manifest.json is missing. Set the model's source or models_dir, or put its folder there."
  }

  # As MODELS and POOLS have it, where they are compressed; MODEL_ARTIFACTS is not.
  validation {
    condition = length(join("", [
      base64gzip(jsonencode({ for name, model in var.models : name => try(coalesce(model.source), name) == name ? "" : model.source })),
      base64gzip(jsonencode({ for pool in keys(var.pools) : pool => [for name, model in var.models : name if try(model.pool, "") == pool] })),
    ])) <= 2400
    error_message = "models: names, sources and pools take, compressed, more than the 2400 characters that fit in Lambda's 4 KB environment. Shorten names or use a second stack."
  }

  validation {
    condition = alltrue([for pool in keys(var.pools) : length(join("", flatten([
      for name, model in var.models : [name, try(coalesce(model.source), name), name, try(coalesce(model.artifact), "")] if try(model.pool, "") == pool
    ]))) <= 2600])
    error_message = "models: names, sources and artifacts of one pool take more than the 2600 characters that fit in Lambda's 4 KB environment. Shorten them, put artifacts into the package or use a second pool."
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
