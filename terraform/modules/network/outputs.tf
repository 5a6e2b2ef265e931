output "subnet_ids" {
  description = "Subnets of the functions. Who reads them waits until the endpoints can be used."
  value       = [for subnet in aws_subnet.private : subnet.id]

  depends_on = [
    aws_route_table_association.private,
    aws_vpc_endpoint.gateway,
    aws_vpc_endpoint.interface,
    aws_vpc_security_group_egress_rule.to_gateways,
    aws_vpc_security_group_egress_rule.to_interfaces,
    aws_vpc_security_group_ingress_rule.from_functions,
  ]
}

output "security_group_ids" {
  description = "Security groups of the functions."
  value       = [aws_security_group.functions.id]
}
