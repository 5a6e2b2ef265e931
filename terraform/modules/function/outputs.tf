output "name" {
  description = "Name of the function."
  value       = aws_lambda_function.this.function_name
}

output "version" {
  description = "Published version that the alias points to."
  value       = aws_lambda_function.this.version
}

output "alias_name" {
  description = "Name of the alias that serves."
  value       = aws_lambda_alias.live.name
}

output "alias_arn" {
  description = "ARN of the alias: the target of event source mappings and schedules."
  value       = aws_lambda_alias.live.arn
}

output "alias_invoke_arn" {
  description = "ARN by which API Gateway invokes the alias."
  value       = aws_lambda_alias.live.invoke_arn
}

output "role_name" {
  description = "Name of the function's role."
  value       = aws_iam_role.this.name
}

output "role_arn" {
  description = "ARN of the function's role."
  value       = aws_iam_role.this.arn
}

output "log_group_name" {
  description = "Name of the function's log group."
  value       = aws_cloudwatch_log_group.this.name
}

output "environment" {
  description = "Variables of the version that serves; who reads them waits until it does."
  value       = var.environment
  depends_on  = [aws_lambda_alias.live]
}
