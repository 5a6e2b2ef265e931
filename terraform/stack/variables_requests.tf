# Limits and times of a request, and the functions that end it when no worker does. The rules below ignore values of a wrong
# type and values that are not set (`try(..., true)`).

variable "requests" {
  description = <<-TEXT
    Limits and times of a request.
    max_body_bytes and max_body_depth: what POST accepts. max_upload_bytes: of one upload. link_seconds: for how long a
    link to an upload or to a file of a result is valid.
    max_batch_items: of one POST /batch. max_batch_lines: of the uploaded file of a batch.
    max_attempts: tries by a worker before the request fails;
    max_receive_count: receives before SQS moves its message to the dead-letter queue; two more than a batch has messages, since
    each other request that stops the worker uses up one. deadline_seconds: after the submit, when it expires.
    retention_seconds: how long its record is kept. retry_base_seconds, doubled with each attempt up to retry_max_seconds:
    the pause after a failure that may pass.
    list_by_caller: whether callers can list their requests (GET /requests); one more write of each request, and at most 1,000
    new requests a second for each caller.
  TEXT
  type        = any
  default     = {}
  nullable    = false

  validation {
    condition     = length(setsubtract(keys(var.requests), keys(local.defaults.requests))) == 0
    error_message = "requests has ${join(", ", setsubtract(keys(var.requests), keys(local.defaults.requests)))}, which is no setting. There are ${join(", ", keys(local.defaults.requests))}."
  }

  validation {
    condition = alltrue([for key, value in var.requests : try(contains(local.kinds.requests[key], lookup(local.kind_of, substr(jsonencode(value), 0, 1), "a number")), true)])
    error_message = "requests: ${join(", ", [
      for key, value in var.requests : "${key} must be ${join(" or ", local.kinds.requests[key])}"
      if !try(contains(local.kinds.requests[key], lookup(local.kind_of, substr(jsonencode(value), 0, 1), "a number")), true)
    ])}."
  }

  validation {
    # Lambda takes an event of 6 MB, in which the body may be base64.
    condition     = try(var.requests.max_body_bytes >= 1 && var.requests.max_body_bytes <= 4500000, true)
    error_message = "requests.max_body_bytes must be from 1 to 4500000: Lambda takes 6 MB, and API Gateway may send the body as base64. Larger inputs are uploaded."
  }

  validation {
    condition     = try(var.requests.max_upload_bytes >= 1 && var.requests.max_upload_bytes <= 5368709120, true)
    error_message = "requests.max_upload_bytes must be from 1 to 5368709120: S3 takes 5 GiB in one upload."
  }

  validation {
    # A link is signed with the function's own credentials, and ends with them.
    condition     = try(var.requests.link_seconds >= 60 && var.requests.link_seconds <= 3600, true)
    error_message = "requests.link_seconds must be from 60 to 3600."
  }

  validation {
    condition     = try(var.requests.max_batch_items >= 1 && var.requests.max_batch_items <= 100 && floor(var.requests.max_batch_items) == var.requests.max_batch_items, true)
    error_message = "requests.max_batch_items must be a whole number from 1 to 100: a submit writes all records and messages before it answers."
  }

  validation {
    condition     = try(var.requests.max_batch_lines >= 1 && var.requests.max_batch_lines <= 10000 && floor(var.requests.max_batch_lines) == var.requests.max_batch_lines, true)
    error_message = "requests.max_batch_lines must be a whole number from 1 to 10000: the record of a batch has the counts of each hundred."
  }

  validation {
    condition     = try(var.requests.max_body_depth >= 1 && var.requests.max_body_depth <= 100, true)
    error_message = "requests.max_body_depth must be from 1 to 100."
  }

  validation {
    condition     = try(var.requests.max_attempts >= 1, true) && try(merge(local.defaults.requests, var.requests).max_attempts < merge(local.defaults.requests, var.requests).max_receive_count, true)
    error_message = "requests.max_attempts must be at least 1 and below requests.max_receive_count: the worker must end a request before SQS moves its message to the dead-letter queue."
  }

  validation {
    condition     = try(var.requests.max_receive_count >= 5 && var.requests.max_receive_count <= 1000, true)
    error_message = "requests.max_receive_count must be from 5 to 1000."
  }

  validation {
    condition     = try(var.requests.deadline_seconds >= 60 && var.requests.deadline_seconds <= 1209600, true)
    error_message = "requests.deadline_seconds must be from 60 to 1209600: SQS keeps no message longer than 14 days."
  }

  validation {
    condition     = try(merge(local.defaults.requests, var.requests).retention_seconds >= merge(local.defaults.requests, var.requests).deadline_seconds, true)
    error_message = "requests.retention_seconds must be at least requests.deadline_seconds: a record must outlive its request."
  }

  validation {
    condition = alltrue([for requests in [merge(local.defaults.requests, var.requests)] : try(
      requests.retry_base_seconds >= 0 && requests.retry_base_seconds <= requests.retry_max_seconds && requests.retry_max_seconds <= 43200, true
    )])
    error_message = "requests.retry_base_seconds must be from 0 to requests.retry_max_seconds, and that at most 43200."
  }
}

variable "dead_letters" {
  description = "Size of the dead_letters function: memory_mb, timeout_seconds."
  type        = any
  default     = {}
  nullable    = false

  validation {
    condition     = length(setsubtract(keys(var.dead_letters), keys(local.defaults.dead_letters))) == 0
    error_message = "dead_letters has ${join(", ", setsubtract(keys(var.dead_letters), keys(local.defaults.dead_letters)))}, which is no setting. There are ${join(", ", keys(local.defaults.dead_letters))}."
  }

  validation {
    condition = alltrue([for key, value in var.dead_letters : try(contains(local.kinds.dead_letters[key], lookup(local.kind_of, substr(jsonencode(value), 0, 1), "a number")), true)])
    error_message = "dead_letters: ${join(", ", [
      for key, value in var.dead_letters : "${key} must be ${join(" or ", local.kinds.dead_letters[key])}"
      if !try(contains(local.kinds.dead_letters[key], lookup(local.kind_of, substr(jsonencode(value), 0, 1), "a number")), true)
    ])}."
  }
}

variable "sweeper" {
  description = "Size of the sweeper function (memory_mb, timeout_seconds), its schedule, and how old a request must be before it looks at it (grace_seconds)."
  type        = any
  default     = {}
  nullable    = false

  validation {
    condition     = length(setsubtract(keys(var.sweeper), keys(local.defaults.sweeper))) == 0
    error_message = "sweeper has ${join(", ", setsubtract(keys(var.sweeper), keys(local.defaults.sweeper)))}, which is no setting. There are ${join(", ", keys(local.defaults.sweeper))}."
  }

  validation {
    condition = alltrue([for key, value in var.sweeper : try(contains(local.kinds.sweeper[key], lookup(local.kind_of, substr(jsonencode(value), 0, 1), "a number")), true)])
    error_message = "sweeper: ${join(", ", [
      for key, value in var.sweeper : "${key} must be ${join(" or ", local.kinds.sweeper[key])}"
      if !try(contains(local.kinds.sweeper[key], lookup(local.kind_of, substr(jsonencode(value), 0, 1), "a number")), true)
    ])}."
  }

  validation {
    condition     = try(can(regex("^(rate\\((1 (minute|hour|day)|([2-9]|[1-9][0-9]+) (minutes|hours|days))\\)|cron\\(.+\\))$", tostring(var.sweeper.schedule))) || !can(tostring(var.sweeper.schedule)), true)
    error_message = "sweeper.schedule must be an EventBridge schedule, such as rate(1 minute), rate(5 minutes) or cron(...)."
  }

  validation {
    condition     = try(var.sweeper.grace_seconds >= 30, true)
    error_message = "sweeper.grace_seconds must be at least 30: a submit writes its record and its message one after the other."
  }
}
