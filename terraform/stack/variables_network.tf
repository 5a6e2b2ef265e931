# The optional VPC: docs/network.md.

variable "vpc" {
  description = <<-TEXT
    The VPC of all functions. null is none: the functions have Lambda's own network, with a way to the internet.
    {} makes one without a way to the internet: cidr: its addresses; zone_count: availability zones; endpoints: services with an
    interface endpoint, billed by the hour for each zone. subnet_ids and security_group_ids: those of an existing VPC instead,
    from which the functions must reach SQS, DynamoDB, S3 and CloudWatch Logs.
  TEXT
  type        = any
  default     = null
  nullable    = true

  validation {
    condition     = length(setsubtract(keys(merge(var.vpc)), keys(local.defaults.vpc))) == 0
    error_message = "vpc has ${join(", ", setsubtract(keys(merge(var.vpc)), keys(local.defaults.vpc)))}, which is no setting. There are ${join(", ", keys(local.defaults.vpc))}."
  }

  validation {
    condition = alltrue([for key, value in merge(var.vpc) : try(contains(local.kinds.vpc[key], lookup(local.kind_of, substr(jsonencode(value), 0, 1), "a number")), true)])
    error_message = "vpc: ${join(", ", [
      for key, value in merge(var.vpc) : "${key} must be ${join(" or ", local.kinds.vpc[key])}"
      if !try(contains(local.kinds.vpc[key], lookup(local.kind_of, substr(jsonencode(value), 0, 1), "a number")), true)
    ])}."
  }

  # By the keys: the ids of a VPC that the same apply makes are not known yet.
  validation {
    condition     = length(setintersection(keys(merge(var.vpc)), ["subnet_ids", "security_group_ids"])) != 1
    error_message = "vpc must have both subnet_ids and security_group_ids, or neither."
  }

  validation {
    condition     = alltrue([for key in setintersection(keys(merge(var.vpc)), ["subnet_ids", "security_group_ids"]) : try(length(var.vpc[key]) > 0, false)])
    error_message = "vpc.subnet_ids and vpc.security_group_ids must each name at least one."
  }

  validation {
    condition     = !contains(keys(merge(var.vpc)), "subnet_ids") || length(setintersection(keys(merge(var.vpc)), ["cidr", "zone_count", "endpoints"])) == 0
    error_message = "vpc: ${join(", ", setintersection(keys(merge(var.vpc)), ["cidr", "zone_count", "endpoints"]))} are for a VPC that is made here; with subnet_ids none is."
  }
}
