output "id" {
  description = "Id of the HTTP API."
  value       = aws_apigatewayv2_api.this.id
}

output "url" {
  description = "Base URL on AWS, without a slash at the end."
  value       = trimsuffix(aws_apigatewayv2_stage.default.invoke_url, "/")
}
