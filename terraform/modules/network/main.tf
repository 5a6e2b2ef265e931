data "aws_partition" "current" {}
data "aws_caller_identity" "current" {}

# For its region: the attribute of aws_region differs between version 5 and 6 of the provider.
data "aws_service" "ec2" {
  service_id = "ec2"
}

# Not by state: a zone that is impaired for a while must not replace subnets. Lambda has little capacity in use1-az3.
data "aws_availability_zones" "usable" {
  #checkov:skip=CKV_AWS_394:the first zone_count by name are used; a zone that AWS adds comes after them

  exclude_zone_ids = ["use1-az3"]

  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }
}

locals {
  region = data.aws_service.ec2.region
  zones  = slice(sort(data.aws_availability_zones.usable.names), 0, var.zone_count)

  # The prefix is /28 at most, which the validation of `cidr` checks.
  subnet_bits = ceil(log(var.zone_count, 2))
}

# No internet gateway and no NAT: there is a way to the endpoints and to nothing else.
resource "aws_vpc" "this" {
  #checkov:skip=CKV2_AWS_11:flow logs cost money for each GB; what is sent goes to AWS's endpoints alone

  cidr_block           = var.cidr
  enable_dns_support   = true
  enable_dns_hostnames = true # for the private names of the interface endpoints

  tags = { Name = var.name }
}

# Without rules: nobody may use it by mistake.
resource "aws_default_security_group" "unused" {
  vpc_id = aws_vpc.this.id

  tags = { Name = "${var.name}-unused" }
}

resource "aws_subnet" "private" {
  for_each = { for index, zone in local.zones : zone => index }

  vpc_id                  = aws_vpc.this.id
  availability_zone       = each.key
  cidr_block              = cidrsubnet(var.cidr, local.subnet_bits, each.value)
  map_public_ip_on_launch = false

  tags = { Name = "${var.name}-${each.key}" }
}

resource "aws_route_table" "private" {
  vpc_id = aws_vpc.this.id

  tags = { Name = var.name }
}

resource "aws_route_table_association" "private" {
  for_each = aws_subnet.private

  subnet_id      = each.value.id
  route_table_id = aws_route_table.private.id
}

# What is in the VPC uses this account's credentials. Objects may be in other accounts' buckets, so resources are not limited.
data "aws_iam_policy_document" "endpoint" {
  #checkov:skip=CKV_AWS_1:it limits who uses the endpoint; what they may do is in the roles' policies
  #checkov:skip=CKV_AWS_49:an endpoint has the actions of one service

  statement {
    sid       = "ThisAccountsPrincipals"
    actions   = ["*"]
    resources = ["*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:PrincipalAccount"
      values   = [data.aws_caller_identity.current.account_id]
    }
  }
}

resource "aws_vpc_endpoint" "gateway" {
  for_each = toset(["dynamodb", "s3"])

  vpc_id            = aws_vpc.this.id
  service_name      = "com.amazonaws.${local.region}.${each.key}"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = [aws_route_table.private.id]
  policy            = data.aws_iam_policy_document.endpoint.json

  tags = { Name = "${var.name}-${each.key}" }
}

resource "aws_vpc_endpoint" "interface" {
  for_each = var.endpoints

  vpc_id              = aws_vpc.this.id
  service_name        = "com.amazonaws.${local.region}.${each.key}"
  vpc_endpoint_type   = "Interface"
  subnet_ids          = [for subnet in aws_subnet.private : subnet.id]
  security_group_ids  = [aws_security_group.endpoints.id]
  private_dns_enabled = true
  policy              = data.aws_iam_policy_document.endpoint.json

  tags = { Name = "${var.name}-${each.key}" }
}

resource "aws_security_group" "functions" {
  #checkov:skip=CKV2_AWS_5:the functions have it, which are in another module

  name        = "${var.name}-functions"
  description = "The functions: HTTPS to the endpoints, and nothing else."
  vpc_id      = aws_vpc.this.id

  tags = { Name = "${var.name}-functions" }
}

resource "aws_vpc_security_group_egress_rule" "to_interfaces" {
  security_group_id            = aws_security_group.functions.id
  description                  = "HTTPS to the interface endpoints"
  referenced_security_group_id = aws_security_group.endpoints.id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

resource "aws_vpc_security_group_egress_rule" "to_gateways" {
  for_each = aws_vpc_endpoint.gateway

  security_group_id = aws_security_group.functions.id
  description       = "HTTPS to ${each.key}"
  prefix_list_id    = each.value.prefix_list_id
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_security_group" "endpoints" {
  name        = "${var.name}-endpoints"
  description = "The interface endpoints: HTTPS from the functions, and nothing else."
  vpc_id      = aws_vpc.this.id

  tags = { Name = "${var.name}-endpoints" }
}

resource "aws_vpc_security_group_ingress_rule" "from_functions" {
  security_group_id            = aws_security_group.endpoints.id
  description                  = "HTTPS from the functions"
  referenced_security_group_id = aws_security_group.functions.id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}
