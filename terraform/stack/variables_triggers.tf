# Triggers: docs/pipelines.md says what becomes of an object. Any type: an object type would drop a misspelt setting silently.

variable "triggers" {
  description = <<-TEXT
    Objects in S3 that become requests, by a name. {} is none.
    bucket: an existing one, which sends its events to EventBridge; null is one that is made here, for all triggers that name none. prefix, suffix:
    its key begins and ends so. models: each gets a request. caller: whose requests these are, as the API names callers (docs/pipelines.md);
    null where anybody may call. place: where in the input the object is; null is the only place in a manifest's input_files. input: by model, what its input has
    beside it. webhook: where is announced that all of an object's requests are final; none, or null, which is the deployment's default.
    results: { bucket, prefix, kms_key_arn, cdn } of what is written to S3 when a request is final; its bucket is the trigger's where it is null, and
    cdn = { price_class } puts CloudFront in front of it. kms_key_arn: the key that encrypts the objects, where it is not AWS's or the stack's.
  TEXT
  type        = any
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name in keys(var.triggers) : can(regex("^[a-z][a-z0-9-]{0,30}$", name))])
    error_message = "triggers: a name must be 1 to 31 lower-case letters, digits and hyphens, and start with a letter."
  }

  validation {
    condition     = alltrue([for trigger in values(var.triggers) : can(keys(trigger))])
    error_message = "triggers: ${join(", ", [for name, trigger in var.triggers : name if !can(keys(trigger))])} must be an object, such as { models = [\"thumbnail\"] }."
  }

  validation {
    condition = alltrue([for trigger in values(var.triggers) : length(setsubtract(try(keys(trigger), []), keys(local.defaults.triggers))) == 0])
    error_message = "triggers: ${join(", ", flatten([
      for name, trigger in var.triggers : [for key in setsubtract(try(keys(trigger), []), keys(local.defaults.triggers)) : "${name} has ${key}"]
    ]))}, which is no setting. There are ${join(", ", keys(local.defaults.triggers))}."
  }

  validation {
    condition = alltrue(flatten([
      for trigger in values(var.triggers) : [for key, value in try(merge(trigger), local.no_settings) : try(contains(local.kinds.triggers[key], lookup(local.kind_of, substr(jsonencode(value), 0, 1), "a number")), true)]
    ]))
    error_message = "triggers: ${join(", ", flatten([for name, trigger in var.triggers : [
      for key, value in try(merge(trigger), local.no_settings) : "${name}.${key} must be ${join(" or ", local.kinds.triggers[key])}"
      if !try(contains(local.kinds.triggers[key], lookup(local.kind_of, substr(jsonencode(value), 0, 1), "a number")), true)
    ]]))}."
  }

  validation {
    condition = alltrue([for trigger in values(var.triggers) : length(setsubtract(try(keys(trigger.results), []), local.results_keys)) == 0 && length(setsubtract(try(keys(trigger.results.cdn), []), local.cdn_keys)) == 0])
    error_message = "triggers: results of ${join(", ", [
      for name, trigger in var.triggers : name if length(setsubtract(try(keys(trigger.results), []), local.results_keys)) + length(setsubtract(try(keys(trigger.results.cdn), []), local.cdn_keys)) > 0
    ])} may have ${join(", ", local.results_keys)}, and cdn ${join(", ", local.cdn_keys)}, and nothing else."
  }

  validation {
    condition     = alltrue([for trigger in values(var.triggers) : try(length(trigger.models) > 0 && length(trigger.models) <= 20 && length(distinct(trigger.models)) == length(trigger.models) && length(setsubtract(trigger.models, keys(var.models))) == 0, false)])
    error_message = "triggers: models must be 1 to 20 of ${join(", ", keys(var.models))}, each once; those of ${join(", ", [for name, trigger in var.triggers : name if !try(length(trigger.models) > 0 && length(trigger.models) <= 20 && length(distinct(trigger.models)) == length(trigger.models) && length(setsubtract(trigger.models, keys(var.models))) == 0, false)])} are not."
  }

  # The place of the object: the one that the trigger names, else the only one that the manifest declares.
  validation {
    condition = alltrue(flatten([for trigger in values(var.triggers) : [
      for model in try(trigger.models, []) : try(trigger.place, null) == null ? length(try(local.manifests[model].input_files, {})) == 1 : contains(keys(try(local.manifests[model].input_files, {})), trigger.place)
      if contains(keys(var.models), model)
    ]]))
    error_message = "triggers: where in the input is the object? ${join("; ", flatten([for name, trigger in var.triggers : [
      for model in try(trigger.models, []) : "${name}: the manifest of ${model} has ${length(try(local.manifests[model].input_files, {})) == 0 ? "no input_files: this model takes no files" : "input_files in ${join(", ", keys(local.manifests[model].input_files))}: name one of them as place"}"
      if contains(keys(var.models), model) && !(try(trigger.place, null) == null ? length(try(local.manifests[model].input_files, {})) == 1 : contains(keys(try(local.manifests[model].input_files, {})), trigger.place))
    ]]))}."
  }

  validation {
    condition     = alltrue([for trigger in values(var.triggers) : length(setsubtract(try(keys(trigger.input), []), try(trigger.models, []))) == 0 && !strcontains(jsonencode(try(trigger.input, {})), "\"$ref\"")])
    error_message = "triggers: input must be by model, such as { thumbnail = { size = 64 } }, of models of the trigger, without references ($ref): ${join(", ", [for name, trigger in var.triggers : name if length(setsubtract(try(keys(trigger.input), []), try(trigger.models, []))) > 0 || strcontains(jsonencode(try(trigger.input, {})), "\"$ref\"")])}."
  }

  # Callers as lambda/inference/http/messages.py names them: with another name nobody could see the requests.
  validation {
    condition     = alltrue([for trigger in values(var.triggers) : try(trigger.caller, null) == null ? local.authorizer.type == "NONE" : can(regex(local.caller_patterns[local.authorizer.type], trigger.caller)) && length(try(trigger.caller, "")) <= 500])
    error_message = "triggers: caller of ${join(", ", [for name, trigger in var.triggers : name if !(try(trigger.caller, null) == null ? local.authorizer.type == "NONE" : can(regex(local.caller_patterns[local.authorizer.type], trigger.caller)) && length(try(trigger.caller, "")) <= 500)])} must be who may see its requests: with the authorizer ${local.authorizer.type} ${local.caller_examples[local.authorizer.type]}."
  }

  validation {
    condition     = alltrue([for trigger in values(var.triggers) : try(trigger.bucket, null) == null || can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", trigger.bucket))]) && alltrue([for trigger in values(var.triggers) : try(trigger.results.bucket, null) == null || can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", trigger.results.bucket))])
    error_message = "triggers: bucket must be the name of a bucket of this region without dots, which the certificate of S3 does not cover."
  }

  validation {
    condition     = alltrue([for trigger in values(var.triggers) : !startswith(try(coalesce(trigger.prefix), ""), "/") && !startswith(try(coalesce(trigger.results.prefix), ""), "/")])
    error_message = "triggers: keys of objects begin without a slash, and so must prefix."
  }

  # What is written would become an input, whose results would be written, and so on. A suffix is no way out: files end as their model likes.
  validation {
    condition = alltrue(flatten([for name, trigger in var.triggers : [
      for other in values(var.triggers) : !(startswith("${try(coalesce(other.results.prefix), "")}${try(coalesce(other.prefix), "")}", try(coalesce(trigger.prefix), "")) || startswith(try(coalesce(trigger.prefix), ""), "${try(coalesce(other.results.prefix), "")}${try(coalesce(other.prefix), "")}"))
      if try(other.results, null) != null && try(coalesce(trigger.bucket), "") == try(coalesce(other.results.bucket), try(coalesce(other.bucket), ""))
    ]]))
    error_message = "triggers: ${join("; ", flatten([for name, trigger in var.triggers : [
      for by, other in var.triggers : "${name} would take what ${by} writes, below ${try(coalesce(other.results.prefix), "")}${try(coalesce(other.prefix), "")}"
      if try(other.results, null) != null && try(coalesce(trigger.bucket), "") == try(coalesce(other.results.bucket), try(coalesce(other.bucket), "")) && (startswith("${try(coalesce(other.results.prefix), "")}${try(coalesce(other.prefix), "")}", try(coalesce(trigger.prefix), "")) || startswith(try(coalesce(trigger.prefix), ""), "${try(coalesce(other.results.prefix), "")}${try(coalesce(other.prefix), "")}"))
    ]]))}. Give results another prefix, which none begins with, or another bucket."
  }

  validation {
    condition     = alltrue([for trigger in values(var.triggers) : try(trigger.results.cdn, null) == null || (try(trigger.bucket, null) == null && try(trigger.results.bucket, null) == null && try(coalesce(trigger.results.prefix), "") != "")])
    error_message = "triggers: cdn needs results in the bucket that is made here, below a prefix: the policy of another bucket is not this stack's."
  }

  validation {
    condition     = alltrue([for trigger in values(var.triggers) : try(trigger.webhook, null) == null || try(trigger.webhook == "none", false) || (var.webhooks != null && can(regex("^http${try(merge(var.webhooks).allow_loopback, false) ? "s?" : "s"}://[A-Za-z0-9_.:-]+(/[!-~]*)?$", trigger.webhook)))])
    error_message = "triggers: webhook must be none or a URL that begins with https://, and needs the setting webhooks."
  }

  validation {
    condition     = length(var.triggers) == 0 || !contains(concat(keys(var.models), keys(var.pools)), "intake")
    error_message = "With triggers, no model and no pool can be called intake: the queue of their events has that name."
  }

  # The intake has MODELS, POOLS and TRIGGERS in its environment.
  validation {
    condition = length(var.triggers) == 0 || length(join("", [
      jsonencode(var.triggers),
      [for texts in [[
        jsonencode({ for name, model in var.models : name => try(coalesce(model.source), name) }),
        jsonencode({ for pool in keys(var.pools) : pool => [for name, model in var.models : name if try(model.pool, "") == pool] }),
      ]] : join("", length(join("", texts)) > local.plain_characters ? [for text in texts : base64gzip(text)] : texts)][0],
    ])) <= 2800
    error_message = "triggers: they take, together with the names of models and pools, more than the 2800 characters that fit in Lambda's 4 KB environment. Shorten them or use a second stack."
  }
}
