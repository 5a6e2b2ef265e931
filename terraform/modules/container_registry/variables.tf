variable "name" {
  description = "Name of the ECR repository."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9/_.-]{1,255}$", var.name))
    error_message = "name must be 2 to 256 lower-case letters, digits, slashes, underscores, dots and hyphens, and start with a letter."
  }
}

variable "function_arns" {
  description = "ARNs of the Lambda functions whose images Lambda may pull from here; a star stands for any characters."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.function_arns) > 0 && alltrue([for arn in var.function_arns : can(regex("^arn:[a-z-]+:lambda:[a-z0-9-]+:[0-9]{12}:function:.+$", arn))])
    error_message = "function_arns must be ARNs of Lambda functions, at least one."
  }
}

variable "force_delete" {
  description = "Let terraform destroy delete the repository with the images in it."
  type        = bool
  nullable    = false
}

variable "kms_key_arn" {
  description = "KMS key that encrypts the images; null is ECR's own. ECR can't change it: another value replaces the repository."
  type        = string
  nullable    = true
}
