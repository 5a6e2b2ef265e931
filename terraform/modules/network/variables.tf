variable "name" {
  description = "Name of the VPC, and the beginning of the names of what is in it."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,63}$", var.name))
    error_message = "name must be 1 to 64 lower-case letters, digits and hyphens, and start with a letter."
  }
}

variable "cidr" {
  description = "Addresses of the VPC, such as 10.0.0.0/24. Each zone's subnet has a part of them, at least 16."
  type        = string
  nullable    = false

  validation {
    condition     = can(cidrhost(var.cidr, 0)) && can(regex("^[0-9.]+/[0-9]+$", var.cidr)) && try(tonumber(split("/", var.cidr)[1]) >= 16, false)
    error_message = "cidr must be IPv4 addresses as in 10.0.0.0/24, a /16 or smaller: AWS allows no larger VPC."
  }

  validation {
    condition     = try(tonumber(split("/", var.cidr)[1]) + ceil(log(var.zone_count, 2)) <= 28, true)
    error_message = "cidr is too small for zone_count subnets: AWS allows none smaller than /28."
  }
}

variable "zone_count" {
  description = "Number of availability zones. Each interface endpoint is billed once for each."
  type        = number
  nullable    = false

  validation {
    condition     = var.zone_count >= 2 && var.zone_count <= 6 && floor(var.zone_count) == var.zone_count
    error_message = "zone_count must be a whole number from 2 to 6: with one, its failure stops everything."
  }
}

variable "endpoints" {
  description = "Services that have an interface endpoint, as sqs and logs. S3 and DynamoDB have gateway endpoints, which cost nothing."
  type        = set(string)
  nullable    = false

  validation {
    condition     = alltrue([for name in var.endpoints : can(regex("^[a-z0-9-]+(\\.[a-z0-9-]+)*$", name))])
    error_message = "endpoints must be names of services as at the end of com.amazonaws.<region>.<service>: ${join(", ", var.endpoints)}."
  }

  validation {
    condition     = length(setintersection(var.endpoints, ["dynamodb", "s3"])) == 0
    error_message = "endpoints must not have s3 or dynamodb: they have gateway endpoints."
  }
}
