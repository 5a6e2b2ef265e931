variable "name" {
  description = "Name of the ECR repository."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9/_.-]{1,255}$", var.name))
    error_message = "name must be 2 to 256 lower-case letters, digits, slashes, underscores, dots and hyphens, and start with a letter."
  }
}

variable "keep_images" {
  description = "How many images are kept; older ones expire. A function keeps running on an expired image's copy only for a while, so keep several."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.keep_images >= 2 && floor(var.keep_images) == var.keep_images
    error_message = "keep_images must be a whole number, 2 or more: the one that serves and the one before."
  }
}

variable "untagged_days" {
  description = "Days after which an image without a tag expires."
  type        = number
  default     = 14
  nullable    = false

  validation {
    condition     = var.untagged_days >= 1 && floor(var.untagged_days) == var.untagged_days
    error_message = "untagged_days must be a whole number, 1 or more."
  }
}

variable "force_delete" {
  description = "Let terraform destroy delete the repository with the images in it."
  type        = bool
  default     = false
  nullable    = false
}
