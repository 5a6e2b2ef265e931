# The optional VPC: the user's own, by its subnets and security groups, else one that is made here. All functions are in it:
# one outside would have the way to the internet that the VPC is to close, and they share the endpoints.

module "network" {
  source = "../modules/network"
  count  = var.vpc == null || contains(keys(merge(var.vpc)), "subnet_ids") ? 0 : 1

  name       = var.name_prefix
  cidr       = local.vpc.cidr
  zone_count = local.vpc.zone_count
  endpoints  = local.vpc.endpoints
}

locals {
  function_vpc = local.vpc == null ? null : {
    subnet_ids         = try(module.network[0].subnet_ids, local.vpc.subnet_ids)
    security_group_ids = try(module.network[0].security_group_ids, local.vpc.security_group_ids)
  }
}
