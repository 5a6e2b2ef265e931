variable "name" {
  description = "Name of the HTTP API, and of its access log after /aws/apigateway/."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,127}$", var.name))
    error_message = "name must be 1 to 128 lower-case letters, digits and hyphens, and start with a letter."
  }
}

variable "function" {
  description = "The function that answers every route: its name, and the alias by which it is invoked."
  type = object({
    name             = string
    alias_name       = string
    alias_invoke_arn = string
  })
  nullable = false

  validation {
    condition     = !contains(["", "$LATEST"], var.function.alias_name)
    error_message = "function.alias_name must be an alias: $LATEST is never warm, and changes while it serves."
  }
}

variable "routes" {
  description = "Route keys as API Gateway writes them, such as POST /predict."
  type        = set(string)
  nullable    = false

  validation {
    condition     = length(var.routes) >= 1 && length(var.routes) <= 300
    error_message = "routes must have 1 to 300 route keys."
  }

  validation {
    condition     = alltrue([for key in var.routes : can(regex("^(GET|POST|PUT|PATCH|DELETE|HEAD) (/([a-z0-9._-]+|\\{[a-z_]+\\}))+$", key))])
    error_message = "routes must be a method, one space and a path, such as GET /status/{request_id}; catch-all routes are not meant."
  }
}

variable "open_routes" {
  description = "Those of the routes that anyone may call, whatever the authorizer."
  type        = set(string)
  nullable    = false

  validation {
    condition     = length(setsubtract(var.open_routes, var.routes)) == 0
    error_message = "open_routes must be routes."
  }
}

variable "extra_routes" {
  description = "Routes that functions of their own answer, by route key: the function, as `function`, and whether anyone may call."
  type = map(object({
    open = bool
    function = object({
      name             = string
      alias_name       = string
      alias_invoke_arn = string
    })
  }))
  nullable = false

  validation {
    condition     = alltrue([for key in keys(var.extra_routes) : can(regex("^(GET|POST|PUT|PATCH|DELETE|HEAD) (/([a-z0-9._-]+|\\{[a-z_]+\\}))+$", key))])
    error_message = "extra_routes must be a method, one space and a path, such as GET /status/{request_id}; catch-all routes are not meant."
  }

  validation {
    condition     = length(var.extra_routes) + length(var.routes) <= 300
    error_message = "extra_routes and routes are ${length(var.extra_routes) + length(var.routes)}, and an HTTP API has 300 at most. A model with sync has three: take sync off some models, or use a second stack."
  }

  validation {
    condition     = length(setintersection(keys(var.extra_routes), var.routes)) == 0
    error_message = "extra_routes has ${join(", ", setintersection(keys(var.extra_routes), var.routes))}, which routes has too: one function answers each."
  }

  validation {
    condition     = alltrue([for route in values(var.extra_routes) : !contains(["", "$LATEST"], route.function.alias_name)])
    error_message = "extra_routes: each function must be invoked by an alias: $LATEST is never warm, and changes while it serves."
  }
}

variable "authorizer" {
  description = "Who may call: AWS_IAM (signed requests), JWT (issuer and audience needed), API_KEY (the function that knows the keys, and cache_seconds, for which API Gateway remembers what it said, are needed) or NONE (anyone who finds the address)."
  type = object({
    type          = string
    issuer        = optional(string)
    audience      = optional(list(string))
    cache_seconds = optional(number)
    function = optional(object({
      name             = string
      alias_name       = string
      alias_invoke_arn = string
    }))
  })
  nullable = false

  validation {
    condition     = contains(["NONE", "AWS_IAM", "JWT", "API_KEY"], var.authorizer.type)
    error_message = "authorizer.type must be NONE, AWS_IAM, JWT or API_KEY."
  }

  validation {
    condition     = var.authorizer.type != "JWT" || (can(regex("^https://", var.authorizer.issuer)) && try(length(var.authorizer.audience), 0) > 0)
    error_message = "authorizer of type JWT needs an issuer that begins with https:// and at least one audience."
  }

  validation {
    condition     = var.authorizer.type == "JWT" || (var.authorizer.issuer == null && var.authorizer.audience == null)
    error_message = "authorizer.issuer and authorizer.audience only mean something with type JWT."
  }

  validation {
    condition     = (var.authorizer.type == "API_KEY") == (var.authorizer.function != null) && (var.authorizer.type == "API_KEY") == (var.authorizer.cache_seconds != null)
    error_message = "authorizer.function and authorizer.cache_seconds are needed with type API_KEY, and mean nothing with another."
  }

  validation {
    condition     = var.authorizer.cache_seconds == null ? true : var.authorizer.cache_seconds >= 0 && var.authorizer.cache_seconds <= 3600 && floor(var.authorizer.cache_seconds) == var.authorizer.cache_seconds
    error_message = "authorizer.cache_seconds must be a whole number from 0 to 3600."
  }

  validation {
    condition     = var.authorizer.function == null ? true : !contains(["", "$LATEST"], var.authorizer.function.alias_name)
    error_message = "authorizer.function.alias_name must be an alias: $LATEST changes while it serves."
  }
}

variable "throttling" {
  description = "Limit of each route: requests a second (rate) and how many may come at once (burst)."
  type = object({
    burst = number
    rate  = number
  })
  nullable = false

  validation {
    condition     = var.throttling.burst >= 1 && floor(var.throttling.burst) == var.throttling.burst
    error_message = "throttling.burst must be a whole number, 1 or more (0 rejects every request)."
  }

  validation {
    condition     = var.throttling.rate > 0
    error_message = "throttling.rate must be above 0 (0 rejects every request)."
  }
}

variable "cors" {
  description = "Which web pages of other origins may call; null is none."
  type = object({
    allow_origins   = list(string)
    allow_methods   = list(string)
    allow_headers   = list(string)
    expose_headers  = list(string)
    max_age_seconds = number
  })
  nullable = true

  validation {
    condition     = var.cors == null ? true : length(var.cors.allow_origins) > 0 && alltrue([for origin in var.cors.allow_origins : can(regex("^https?://[^/*]+$", origin))])
    error_message = "cors.allow_origins must be origins such as https://app.example.com, without path or star."
  }

  validation {
    condition     = var.cors == null ? true : var.cors.max_age_seconds >= 0 && var.cors.max_age_seconds <= 86400
    error_message = "cors.max_age_seconds must be from 0 to 86400."
  }
}

variable "log_retention_days" {
  description = "Days that the access log is kept; one of the values CloudWatch Logs accepts. null is no access log."
  type        = number
  nullable    = true

  validation {
    condition     = var.log_retention_days == null ? true : contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be a number of days that CloudWatch Logs accepts, such as 7, 14, 30, 90 or 365."
  }
}

variable "kms_key_arn" {
  description = "KMS key that encrypts the access log; null is CloudWatch Logs' own."
  type        = string
  nullable    = true
}
