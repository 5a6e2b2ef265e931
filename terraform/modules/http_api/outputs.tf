output "id" {
  description = "Id of the HTTP API."
  value       = aws_apigatewayv2_api.this.id
}

output "name" {
  description = "Name of the HTTP API."
  value       = aws_apigatewayv2_api.this.name
}

output "url" {
  description = "Base URL on AWS, without a slash at the end."
  value       = trimsuffix(aws_apigatewayv2_stage.default.invoke_url, "/")
}

output "execution_arn" {
  description = "ARN prefix for the right to call: append /<stage>/<method>/<path>."
  value       = aws_apigatewayv2_api.this.execution_arn
}

output "access_log_group_name" {
  description = "Name of the access log's group."
  value       = aws_cloudwatch_log_group.access.name
}
