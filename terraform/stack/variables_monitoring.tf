# What is measured, shown and alarmed, and what that costs: docs/operations.md.

variable "monitoring" {
  description = <<-TEXT
    metrics: the functions write metrics of their own. dashboard: one with all of them, and AWS's.
    alarms: with a topic that they notify, and emails that it notifies; alarm_models: the models that have alarms of their
    own, null is all. oldest_message_seconds: how long a message may wait; failed_share: how large a share of a model's
    requests, or of the API's calls, may fail. tracing: X-Ray, of all functions. access_log: API Gateway's, of every call,
    those that reach no function included.
  TEXT
  type        = any
  default     = {}
  nullable    = false

  validation {
    condition     = length(setsubtract(keys(var.monitoring), keys(local.defaults.monitoring))) == 0
    error_message = "monitoring has ${join(", ", setsubtract(keys(var.monitoring), keys(local.defaults.monitoring)))}, which is no setting. There are ${join(", ", keys(local.defaults.monitoring))}."
  }

  validation {
    condition = alltrue([for key, value in var.monitoring : try(contains(local.kinds.monitoring[key], lookup(local.kind_of, substr(jsonencode(value), 0, 1), "a number")), true)])
    error_message = "monitoring: ${join(", ", [
      for key, value in var.monitoring : "${key} must be ${join(" or ", local.kinds.monitoring[key])}"
      if !try(contains(local.kinds.monitoring[key], lookup(local.kind_of, substr(jsonencode(value), 0, 1), "a number")), true)
    ])}."
  }

  validation {
    condition     = try(length(setsubtract(var.monitoring.alarm_models, keys(var.models))) == 0, true)
    error_message = "monitoring.alarm_models has ${try(join(", ", setsubtract(var.monitoring.alarm_models, keys(var.models))), "")}, which is no model."
  }
}
