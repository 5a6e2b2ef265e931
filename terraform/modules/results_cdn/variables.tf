variable "name" {
  description = "Name of the origin access control; account-wide."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,63}$", var.name))
    error_message = "name must be 1 to 64 lower-case letters, digits and hyphens, and start with a letter."
  }
}

variable "bucket_domain_name" {
  description = "Regional domain name of the results' bucket."
  type        = string
  nullable    = false
}

variable "price_class" {
  description = "Which of CloudFront's places serve the results: PriceClass_100 is the cheapest, PriceClass_All all of them."
  type        = string
  nullable    = false

  validation {
    condition     = contains(["PriceClass_100", "PriceClass_200", "PriceClass_All"], var.price_class)
    error_message = "price_class must be PriceClass_100, PriceClass_200 or PriceClass_All."
  }
}
