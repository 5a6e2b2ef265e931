# Which version serves, and what is kept ready or set aside for it.

variable "warmth" {
  description = <<-TEXT
    What keeps environments ready; {} is nothing, and costs nothing.
    provisioned: so many, always.
    scheduled: so many (concurrency) from start to stop, two cron(...) expressions, in a timezone such as Europe/Berlin.
    tracking: from min to max, so that the share target of them is in use.
    snap_start: each environment starts from a snapshot of the process after its INIT.
    warmer: pings that keep so many environments, at a schedule.
  TEXT
  type = object({
    provisioned = optional(number)
    scheduled = optional(object({
      concurrency = number
      start       = string
      stop        = string
      timezone    = string
    }))
    tracking = optional(object({
      min    = number
      max    = number
      target = number
    }))
    snap_start = optional(bool)
    warmer = optional(object({
      environments = number
      schedule     = string
    }))
  })
  nullable = false

  validation {
    condition     = coalesce(var.warmth.provisioned, 0) >= 0 && floor(coalesce(var.warmth.provisioned, 0)) == coalesce(var.warmth.provisioned, 0)
    error_message = "Function ${var.name}: warmth.provisioned must be a whole number, 0 or more."
  }

  validation {
    condition     = var.warmth.scheduled == null ? true : var.warmth.scheduled.concurrency >= 1 && floor(var.warmth.scheduled.concurrency) == var.warmth.scheduled.concurrency
    error_message = "Function ${var.name}: warmth.scheduled.concurrency must be a whole number, 1 or more."
  }

  validation {
    condition     = var.warmth.scheduled == null ? true : alltrue([for at in [var.warmth.scheduled.start, var.warmth.scheduled.stop] : can(regex("^cron\\([^ ()]+( [^ ()]+){5}\\)$", at))])
    error_message = "Function ${var.name}: warmth.scheduled.start and stop must be cron expressions of six fields, such as cron(0 8 ? * MON-FRI *)."
  }

  validation {
    condition     = var.warmth.scheduled == null ? true : can(regex("^[A-Za-z]+([/_+-][A-Za-z0-9]+)*$", var.warmth.scheduled.timezone))
    error_message = "Function ${var.name}: warmth.scheduled.timezone must be the name of a time zone, such as UTC or Europe/Berlin."
  }

  validation {
    condition = var.warmth.tracking == null ? true : (
      var.warmth.tracking.min >= 1 && var.warmth.tracking.min <= var.warmth.tracking.max
      && floor(var.warmth.tracking.min) == var.warmth.tracking.min && floor(var.warmth.tracking.max) == var.warmth.tracking.max
    )
    error_message = "Function ${var.name}: warmth.tracking must have whole numbers, min from 1 to max: of no environment there is no utilization to track."
  }

  validation {
    condition     = var.warmth.tracking == null ? true : var.warmth.tracking.target >= 0.1 && var.warmth.tracking.target <= 0.9
    error_message = "Function ${var.name}: warmth.tracking.target must be from 0.1 to 0.9, the share of the environments in use."
  }

  validation {
    condition     = length([for set in [coalesce(var.warmth.provisioned, 0) > 0, var.warmth.scheduled != null, var.warmth.tracking != null] : set if set]) <= 1
    error_message = "Function ${var.name}: warmth must have one of provisioned, scheduled and tracking: each of them sets the number of the alias's environments."
  }

  validation {
    condition     = !coalesce(var.warmth.snap_start, false) || coalesce(var.warmth.provisioned, 0) == 0 && var.warmth.scheduled == null && var.warmth.tracking == null
    error_message = "Function ${var.name}: warmth.snap_start excludes provisioned, scheduled and tracking: Lambda allows no provisioned concurrency for a function with SnapStart."
  }

  validation {
    condition     = !coalesce(var.warmth.snap_start, false) || var.package.image == null
    error_message = "Function ${var.name}: warmth.snap_start needs a zip: Lambda takes no snapshot of an image whose base does not allow it, as this stack's do not. Use provisioned, scheduled, tracking or warmer."
  }

  validation {
    condition     = !coalesce(var.warmth.snap_start, false) || var.ephemeral_storage_mb <= 512
    error_message = "Function ${var.name}: warmth.snap_start needs ephemeral_storage_mb = 512: Lambda makes no snapshot of more."
  }

  validation {
    condition     = var.warmth.warmer == null || coalesce(var.warmth.provisioned, 0) == 0 && var.warmth.scheduled == null && var.warmth.tracking == null
    error_message = "Function ${var.name}: warmth.warmer excludes provisioned, scheduled and tracking: its pings would go to the environments that these keep ready anyway."
  }

  validation {
    condition     = var.warmth.warmer == null ? true : contains([1, 2, 3, 4, 5], var.warmth.warmer.environments)
    error_message = "Function ${var.name}: warmth.warmer.environments must be a whole number from 1 to 5: an EventBridge rule has five targets. For more, use provisioned."
  }

  validation {
    condition     = var.warmth.warmer == null ? true : can(regex("^(rate\\((1 (minute|hour|day)|([2-9]|[1-9][0-9]+) (minutes|hours|days))\\)|cron\\(.+\\))$", var.warmth.warmer.schedule))
    error_message = "Function ${var.name}: warmth.warmer.schedule must be an EventBridge schedule, such as rate(5 minutes) or cron(0/5 8-18 ? * MON-FRI *)."
  }
}

variable "rollout" {
  description = <<-TEXT
    How a new version takes over. canary: its share of the invocations until it is promoted; null or 0 is all, at once. kept: the version
    that was last decided on, those that were rolled back, and the package type that they are of; null is no decision.
    alarm_actions: what the canary's alarm notifies.
  TEXT
  type = object({
    canary = optional(number)
    kept = optional(object({
      version      = string
      rejected     = list(string)
      package_type = string
    }))
    alarm_actions = optional(list(string))
  })
  nullable = false

  validation {
    condition     = coalesce(var.rollout.canary, 0) >= 0 && coalesce(var.rollout.canary, 0) < 1
    error_message = "Function ${var.name}: canary must be from 0 to below 1, as 0.1 for a tenth of the invocations."
  }

  validation {
    condition     = coalesce(var.rollout.canary, 0) == 0 || coalesce(var.warmth.provisioned, 0) == 0 && var.warmth.scheduled == null && var.warmth.tracking == null
    error_message = "Function ${var.name}: canary excludes warmth.provisioned, scheduled and tracking: Lambda accepts no weights on an alias with provisioned concurrency."
  }

  validation {
    condition     = var.rollout.kept == null ? true : alltrue([for version in concat([var.rollout.kept.version], var.rollout.kept.rejected) : can(regex("^[1-9][0-9]*$", version))])
    error_message = "Function ${var.name}: kept must name published versions by their numbers."
  }
}

variable "reserved_concurrency" {
  description = "Concurrency set aside for the function and at the same time its limit; null is neither."
  type        = number
  nullable    = true

  validation {
    condition     = var.reserved_concurrency == null ? true : var.reserved_concurrency >= 1 && floor(var.reserved_concurrency) == var.reserved_concurrency
    error_message = "Function ${var.name}: reserved_concurrency must be null or a whole number, 1 or more (0 would stop the function)."
  }

  validation {
    condition = var.reserved_concurrency == null ? true : var.reserved_concurrency >= max(
      coalesce(var.warmth.provisioned, 0), try(var.warmth.scheduled.concurrency, 0), try(var.warmth.tracking.max, 0)
    )
    error_message = "Function ${var.name}: reserved_concurrency must be at least the provisioned concurrency of warmth (provisioned, scheduled.concurrency or tracking.max)."
  }

  validation {
    condition     = var.reserved_concurrency == null ? true : var.reserved_concurrency > try(var.warmth.warmer.environments, 0)
    error_message = "Function ${var.name}: reserved_concurrency must be above warmth.warmer.environments: pings must not throttle other invocations."
  }
}
