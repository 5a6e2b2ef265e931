# The API: its function, who may call it, and how much.

variable "api" {
  description = <<-TEXT
    Size of the api function (memory_mb, timeout_seconds), for how long a call may wait for its request to be final
    (max_wait_seconds; 0: not at all), what keeps environments of it ready (warmth, as in `models`), and the share of a new
    version until it is promoted (canary).
    docs: authorized (anyone gets the page GET /docs, which has no facts of the deployment; GET /openapi.json, which has the
    models' schemas, needs credentials), open (both need none) or off (neither is there).
  TEXT
  type        = any
  default     = {}
  nullable    = false

  validation {
    condition     = length(setsubtract(keys(var.api), keys(local.defaults.api))) == 0
    error_message = "api has ${join(", ", setsubtract(keys(var.api), keys(local.defaults.api)))}, which is no setting. There are ${join(", ", keys(local.defaults.api))}."
  }

  validation {
    condition = alltrue([for key, value in var.api : try(contains(local.kinds.api[key], lookup(local.kind_of, substr(jsonencode(value), 0, 1), "a number")), true)])
    error_message = "api: ${join(", ", [
      for key, value in var.api : "${key} must be ${join(" or ", local.kinds.api[key])}"
      if !try(contains(local.kinds.api[key], lookup(local.kind_of, substr(jsonencode(value), 0, 1), "a number")), true)
    ])}."
  }

  validation {
    condition = length(flatten([for key, value in try(merge(var.api.warmth), local.no_settings) : [
      for path in concat([key], try([for inner in keys(value) : "${key}.${inner}"], [])) : path if !contains(local.warmth_keys, path)
    ]])) == 0
    error_message = "api.warmth: ${join(", ", flatten([for key, value in try(merge(var.api.warmth), local.no_settings) : [
      for path in concat([key], try([for inner in keys(value) : "${key}.${inner}"], [])) : path if !contains(local.warmth_keys, path)
    ]]))}, which is no setting. There are ${join(", ", local.warmth_keys)}."
  }

  validation {
    # Below 7 s there may be no time for a call to AWS and, if that hangs, for the answer (inference/aws/deadline.py).
    condition     = try(var.api.timeout_seconds >= 7 && var.api.timeout_seconds <= 29, true)
    error_message = "api.timeout_seconds must be from 7 to 29: a call to AWS that hangs has to end before it, and HTTP API waits 30 s for an answer."
  }

  validation {
    condition     = contains(["authorized", "open", "off"], try(var.api.docs, "off"))
    error_message = "api.docs must be authorized, open or off."
  }

  validation {
    # Three and a half seconds before the timeout calls to AWS end (inference/aws/deadline.py), and a wait with them.
    condition = alltrue([for api in [merge(local.defaults.api, var.api)] : try(
      api.max_wait_seconds >= 0 && api.max_wait_seconds <= 10 && floor(api.max_wait_seconds) == api.max_wait_seconds && (api.max_wait_seconds == 0 || api.max_wait_seconds <= api.timeout_seconds - 5), true
    )])
    error_message = "api.max_wait_seconds must be a whole number from 0 to 10 and, unless it is 0, at least 5 below api.timeout_seconds: the answer comes after the wait."
  }
}

variable "authorizer" {
  description = <<-TEXT
    type: who may call the API: AWS_IAM, JWT (with issuer and audience), API_KEY or NONE, which has to be said.
    caller: with AWS_IAM, whose a request is when an assumed role signs it: the role's, in whatever session, or the session's
    (a person's, with IAM Identity Center).
    cache_seconds: with API_KEY, for how long API Gateway remembers that a key is accepted, or is not: until then a revoked
    key works.
  TEXT
  type        = any
  default     = {}
  nullable    = false

  validation {
    condition     = length(setsubtract(keys(var.authorizer), keys(local.defaults.authorizer))) == 0
    error_message = "authorizer has ${join(", ", setsubtract(keys(var.authorizer), keys(local.defaults.authorizer)))}, which is no setting. There are ${join(", ", keys(local.defaults.authorizer))}."
  }

  validation {
    condition = alltrue([for key, value in var.authorizer : try(contains(local.kinds.authorizer[key], lookup(local.kind_of, substr(jsonencode(value), 0, 1), "a number")), true)])
    error_message = "authorizer: ${join(", ", [
      for key, value in var.authorizer : "${key} must be ${join(" or ", local.kinds.authorizer[key])}"
      if !try(contains(local.kinds.authorizer[key], lookup(local.kind_of, substr(jsonencode(value), 0, 1), "a number")), true)
    ])}."
  }

  validation {
    condition     = contains(["NONE", "AWS_IAM", "JWT", "API_KEY"], try(tostring(var.authorizer.type), "NONE"))
    error_message = "authorizer.type must be NONE, AWS_IAM, JWT or API_KEY."
  }

  validation {
    condition = alltrue([for authorizer in [merge(local.defaults.authorizer, var.authorizer)] :
      contains(["role", "session"], authorizer.caller) && (authorizer.caller == "role" || authorizer.type == "AWS_IAM")
    ])
    error_message = "authorizer.caller must be role or, with type AWS_IAM only, session."
  }

  validation {
    condition = alltrue([for seconds in [lookup(var.authorizer, "cache_seconds", local.defaults.authorizer.cache_seconds)] :
      try(seconds >= 0 && seconds <= 3600 && floor(seconds) == seconds, true) && (!contains(keys(var.authorizer), "cache_seconds") || lookup(var.authorizer, "type", "") == "API_KEY")
    ])
    error_message = "authorizer.cache_seconds must be a whole number from 0 to 3600, and means nothing without type API_KEY."
  }
}

variable "api_url" {
  description = "Base URL that clients call, when a domain of your own stands before the API; null is API Gateway's own."
  type        = string
  default     = null
  nullable    = true

  # This machine: a Cog server beside an emulator calls back there, since nothing answers at API Gateway's own address.
  validation {
    condition     = var.api_url == null ? true : can(regex("^(https://[^/?#]+|http://127[.]0[.]0[.]1(:[0-9]+)?)(/[^?#]*[^/?#])?$", var.api_url))
    error_message = "api_url must be null or an https:// URL without a slash at the end, such as https://inference.example.com."
  }
}

variable "throttling" {
  description = "Limit of each route: requests a second (rate) and how many may come at once (burst)."
  type        = any
  default     = {}
  nullable    = false

  validation {
    condition     = length(setsubtract(keys(var.throttling), keys(local.defaults.throttling))) == 0
    error_message = "throttling has ${join(", ", setsubtract(keys(var.throttling), keys(local.defaults.throttling)))}, which is no setting. There are ${join(", ", keys(local.defaults.throttling))}."
  }

  validation {
    condition = alltrue([for key, value in var.throttling : try(contains(local.kinds.throttling[key], lookup(local.kind_of, substr(jsonencode(value), 0, 1), "a number")), true)])
    error_message = "throttling: ${join(", ", [
      for key, value in var.throttling : "${key} must be ${join(" or ", local.kinds.throttling[key])}"
      if !try(contains(local.kinds.throttling[key], lookup(local.kind_of, substr(jsonencode(value), 0, 1), "a number")), true)
    ])}."
  }
}

variable "cors" {
  description = "Which web pages of other origins may call the API (allow_origins), with which allow_methods and allow_headers, what they may read (expose_headers), and how long a browser remembers it (max_age_seconds). null is none."
  type        = any
  default     = null
  nullable    = true

  validation {
    condition     = length(setsubtract(keys(merge(var.cors)), keys(local.defaults.cors))) == 0
    error_message = "cors has ${join(", ", setsubtract(keys(merge(var.cors)), keys(local.defaults.cors)))}, which is no setting. There are ${join(", ", keys(local.defaults.cors))}."
  }

  validation {
    condition = alltrue([for key, value in merge(var.cors) : try(contains(local.kinds.cors[key], lookup(local.kind_of, substr(jsonencode(value), 0, 1), "a number")), true)])
    error_message = "cors: ${join(", ", [
      for key, value in merge(var.cors) : "${key} must be ${join(" or ", local.kinds.cors[key])}"
      if !try(contains(local.kinds.cors[key], lookup(local.kind_of, substr(jsonencode(value), 0, 1), "a number")), true)
    ])}."
  }
}
