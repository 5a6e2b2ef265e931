# The pools. Any type: an object type would drop a misspelt setting silently. What concerns their models, too, is rejected in
# variables_models.tf.

variable "pools" {
  description = <<-TEXT
    The pools, by name. The models of a pool have one queue and one worker, which loads each when it is first used. Everything is
    optional. memory_mb: the largest of its models' manifests, where it is not given; models that do not fit together are dropped
    and loaded again. timeout_seconds: twice the longest of their manifests. batch_size, batch_window_seconds: of its queue; each
    model is predicted in batches of its manifest's batch_size at most. package: { zip = { path, handler, runtime } } or
    { image = { uri, command } } by digest, when not the built zip. read_buckets, read_kms_key_arns, environment,
    maximum_concurrency, reserved_concurrency, warmth, canary, ephemeral_storage_mb: of its function, as in `models`. sync: of
    all its models, by one function, as in `models`.
  TEXT
  type        = any
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name in keys(var.pools) : can(regex("^[a-z][a-z0-9-]{0,30}$", name)) && !endswith("-${name}", "-dlq")])
    error_message = "pools: a name must be 1 to 31 lower-case letters, digits and hyphens, start with a letter, not be dlq and not end in -dlq."
  }

  validation {
    condition     = alltrue([for pool in values(var.pools) : can(keys(pool))])
    error_message = "pools: ${join(", ", [for name, pool in var.pools : name if !can(keys(pool))])} must be an object, such as {}."
  }

  validation {
    condition = alltrue([for pool in values(var.pools) : length(setsubtract(try(keys(pool), []), keys(local.defaults.pools))) == 0])
    error_message = "pools: ${join(", ", flatten([
      for name, pool in var.pools : [for key in setsubtract(try(keys(pool), []), keys(local.defaults.pools)) : "${name} has ${key}"]
    ]))}, which is no setting. There are ${join(", ", keys(local.defaults.pools))}."
  }

  validation {
    condition = alltrue(flatten([
      for pool in values(var.pools) : [for key, value in try(merge(pool), local.no_settings) : try(contains(local.kinds.pools[key], lookup(local.kind_of, substr(jsonencode(value), 0, 1), "a number")), true)]
    ]))
    error_message = "pools: ${join(", ", flatten([for name, pool in var.pools : [
      for key, value in try(merge(pool), local.no_settings) : "${name}.${key} must be ${join(" or ", local.kinds.pools[key])}"
      if !try(contains(local.kinds.pools[key], lookup(local.kind_of, substr(jsonencode(value), 0, 1), "a number")), true)
    ]]))}."
  }

  validation {
    condition = alltrue(flatten([for pool in values(var.pools) : [
      for kind, package in try(merge(pool.package), local.no_settings) : length(setsubtract(try(keys(package), []), try(local.package_keys[kind], []))) == 0 && contains(keys(local.package_keys), kind)
    ]]))
    error_message = "pools: the package of ${join(", ", [for name, pool in var.pools : name if try(length(pool.package) > 0, false)])} must be { zip = { ${join(", ", local.package_keys.zip)} } } or { image = { ${join(", ", local.package_keys.image)} } }, with no other key."
  }

  validation {
    condition = length(flatten([for pool in values(var.pools) : [
      for key, value in try(merge(pool.warmth), local.no_settings) : [for path in concat([key], try([for inner in keys(value) : "${key}.${inner}"], [])) : path if !contains(local.warmth_keys, path)]
    ]])) == 0
    error_message = "pools: ${join(", ", flatten([for name, pool in var.pools : [
      for key, value in try(merge(pool.warmth), local.no_settings) : [for path in concat([key], try([for inner in keys(value) : "${key}.${inner}"], [])) : "${name}.warmth.${path}" if !contains(local.warmth_keys, path)]
    ]]))}, which is no setting. There are ${join(", ", local.warmth_keys)}."
  }

  # These two reach the queue's module as well, whose messages can't name the pool. The worker's module checks the rest.
  validation {
    condition = alltrue([for pool in values(var.pools) : try(
      pool.timeout_seconds >= 3 && pool.timeout_seconds <= 900 && floor(pool.timeout_seconds) == pool.timeout_seconds, true
    )])
    error_message = "pools: timeout_seconds must be a whole number from 3 to 900; given are ${join(", ", [
      for name, pool in var.pools : "${name} = ${pool.timeout_seconds}" if can(pool.timeout_seconds + 0)
    ])}."
  }

  validation {
    condition = alltrue([for pool in values(var.pools) : try(
      pool.batch_window_seconds >= 0 && pool.batch_window_seconds <= 300 && floor(pool.batch_window_seconds) == pool.batch_window_seconds, true
    )])
    error_message = "pools: batch_window_seconds must be a whole number from 0 to 300; given are ${join(", ", [
      for name, pool in var.pools : "${name} = ${pool.batch_window_seconds}" if can(pool.batch_window_seconds + 0)
    ])}."
  }
}
