variable "name" {
  description = "Begins the name of each alarm, and is the name of the dashboard. The functions' own metrics have it as their dimension Environment."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,63}$", var.name))
    error_message = "name must be 1 to 64 lower-case letters, digits and hyphens, and start with a letter."
  }
}

variable "dashboard" {
  description = "Make the dashboard."
  type        = bool
  nullable    = false
}

variable "alarms" {
  description = "Make the alarms, and the topic that they notify."
  type        = bool
  nullable    = false
}

variable "emails" {
  description = "Addresses that the topic notifies, after each has confirmed the mail that AWS sends it."
  type        = list(string)
  nullable    = false

  validation {
    condition     = alltrue([for address in var.emails : can(regex("^[^@\\s]+@[^@\\s]+$", address))])
    error_message = "emails must be addresses, such as team@example.com: ${join(", ", var.emails)}."
  }

  validation {
    condition     = length(var.emails) == 0 || var.alarms
    error_message = "emails are for alarms, which are off."
  }
}

variable "workers" {
  description = "The workers by name, which is their model's or pool's, and the dimension Model of their metrics: the names of queue and function, the function's timeout, and whether the worker has alarms of its own."
  type = map(object({
    queue           = string
    function        = string
    timeout_seconds = number
    alarms          = bool
  }))
  nullable = false
}

variable "dead_letter_queue" {
  description = "Name of the dead-letter queue."
  type        = string
  nullable    = false
}

variable "webhook_dead_letter_queue" {
  description = "Name of the webhooks' dead-letter queue; null without webhooks."
  type        = string
  nullable    = true
}

variable "intake_dead_letter_queue" {
  description = "Name of the dead-letter queue of triggers' events; null without triggers."
  type        = string
  nullable    = true
}

variable "functions" {
  description = "Names of the functions that all models share; those of the authorizer, of webhooks and of triggers where there are some."
  type = object({
    api          = string
    dead_letters = string
    sweeper      = string
    batches      = string
    authorizer   = optional(string)
    relay        = optional(string)
    deliverer    = optional(string)
    intake       = optional(string)
    results      = optional(string)
  })
  nullable = false
}

variable "sync_functions" {
  description = "Names of the synchronous functions, by model or pool."
  type        = map(string)
  nullable    = false
}

variable "api_id" {
  description = "Id of the HTTP API."
  type        = string
  nullable    = false
}

variable "metrics" {
  description = "Whether the functions write metrics of their own. Without them there is no alarm on failures, and less on the dashboard."
  type        = bool
  nullable    = false
}

variable "error_codes" {
  description = "Codes that a failed request can have, as in model_error: the metric of each is Failed and the code in capitals."
  type        = list(string)
  nullable    = false

  validation {
    condition     = alltrue([for code in var.error_codes : can(regex("^[a-z]+(_[a-z]+)*$", code))])
    error_message = "error_codes must be lower-case words joined by underscores."
  }
}

variable "sweeper_schedule" {
  description = "Schedule of the sweeper: when its alarm expects it."
  type        = string
  nullable    = false
}

variable "oldest_message_seconds" {
  description = "Alarm when a message of a queue is older than this."
  type        = number
  nullable    = false

  validation {
    condition     = var.oldest_message_seconds >= 60 && floor(var.oldest_message_seconds) == var.oldest_message_seconds
    error_message = "oldest_message_seconds must be a whole number, 60 or more: SQS counts once a minute."
  }
}

variable "failed_share" {
  description = "Alarm when a larger share than this fails, of a model's requests or of the API's calls: 0.05 is one in twenty."
  type        = number
  nullable    = false

  validation {
    condition     = var.failed_share > 0 && var.failed_share < 1
    error_message = "failed_share must be above 0 and below 1."
  }
}

variable "kms_key_arn" {
  description = "KMS key that encrypts the topic of the alarms; null is none. Its policy must let cloudwatch.amazonaws.com use it."
  type        = string
  nullable    = true
}
