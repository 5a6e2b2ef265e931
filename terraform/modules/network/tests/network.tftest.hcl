mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name       = "inference-test"
  cidr       = "10.0.0.0/24"
  zone_count = 2
  endpoints  = ["logs", "sqs"]
}

run "two_zones" {
  assert {
    condition     = { for zone, subnet in aws_subnet.private : zone => subnet.cidr_block } == { "eu-west-1a" = "10.0.0.0/25", "eu-west-1b" = "10.0.0.128/25" } && !anytrue([for subnet in aws_subnet.private : subnet.map_public_ip_on_launch])
    error_message = "each zone must have a private subnet with its part of the addresses"
  }

  assert {
    condition     = toset(keys(aws_route_table_association.private)) == toset(keys(aws_subnet.private))
    error_message = "every subnet must have the route table with the gateway endpoints"
  }

  assert {
    condition     = { for service, endpoint in aws_vpc_endpoint.gateway : endpoint.service_name => endpoint.vpc_endpoint_type } == { "com.amazonaws.eu-west-1.dynamodb" = "Gateway", "com.amazonaws.eu-west-1.s3" = "Gateway" } && alltrue([for endpoint in aws_vpc_endpoint.gateway : endpoint.route_table_ids == toset([aws_route_table.private.id])])
    error_message = "S3 and DynamoDB must be reached by endpoints that cost nothing"
  }

  assert {
    condition     = { for service, endpoint in aws_vpc_endpoint.interface : endpoint.service_name => endpoint.vpc_endpoint_type } == { "com.amazonaws.eu-west-1.logs" = "Interface", "com.amazonaws.eu-west-1.sqs" = "Interface" } && alltrue([for endpoint in aws_vpc_endpoint.interface : endpoint.private_dns_enabled && endpoint.subnet_ids == toset([for subnet in aws_subnet.private : subnet.id]) && endpoint.security_group_ids == toset([aws_security_group.endpoints.id])])
    error_message = "the other services must have an interface endpoint in every zone, under their own names"
  }

  assert {
    condition     = alltrue([for rule in concat([aws_vpc_security_group_egress_rule.to_interfaces], values(aws_vpc_security_group_egress_rule.to_gateways)) : rule.security_group_id == aws_security_group.functions.id && rule.from_port == 443 && rule.to_port == 443 && rule.ip_protocol == "tcp" && rule.cidr_ipv4 == null])
    error_message = "functions may send HTTPS to the endpoints, and nothing else"
  }

  assert {
    condition     = { for service, rule in aws_vpc_security_group_egress_rule.to_gateways : service => rule.prefix_list_id } == { for service, endpoint in aws_vpc_endpoint.gateway : service => endpoint.prefix_list_id } && aws_vpc_security_group_egress_rule.to_interfaces.referenced_security_group_id == aws_security_group.endpoints.id
    error_message = "functions may reach S3, DynamoDB and the interface endpoints alone"
  }

  assert {
    condition     = aws_vpc_security_group_ingress_rule.from_functions.security_group_id == aws_security_group.endpoints.id && aws_vpc_security_group_ingress_rule.from_functions.referenced_security_group_id == aws_security_group.functions.id && aws_vpc_security_group_ingress_rule.from_functions.from_port == 443
    error_message = "the endpoints may be reached by the functions alone"
  }

  assert {
    condition     = aws_vpc.this.enable_dns_support && aws_vpc.this.enable_dns_hostnames && length(aws_default_security_group.unused.ingress) + length(aws_default_security_group.unused.egress) == 0
    error_message = "names of services must resolve to the endpoints, and the default security group must allow nothing"
  }

  assert {
    condition     = one(data.aws_iam_policy_document.endpoint.statement[0].condition).variable == "aws:PrincipalAccount" && one(data.aws_iam_policy_document.endpoint.statement[0].condition).values == tolist(["123456789012"])
    error_message = "the endpoints must reject other accounts' credentials"
  }

  assert {
    condition     = toset(output.subnet_ids) == toset([for subnet in aws_subnet.private : subnet.id]) && output.security_group_ids == [aws_security_group.functions.id]
    error_message = "the functions must get the subnets and their own security group"
  }
}

run "three_zones" {
  variables {
    zone_count = 3
    endpoints  = []
  }

  assert {
    condition     = [for subnet in aws_subnet.private : subnet.cidr_block] == ["10.0.0.0/26", "10.0.0.64/26", "10.0.0.128/26"] && length(aws_vpc_endpoint.interface) == 0
    error_message = "three zones must share the addresses, and what is not named must not be billed"
  }
}
