output "name" {
  description = "Name of the function."
  value       = aws_lambda_function.this.function_name
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

output "canary_alarm" {
  description = "Name of the canary's alarm; null without a canary."
  value       = one(aws_cloudwatch_metric_alarm.canary[*].alarm_name)
}

output "role_arn" {
  description = "ARN of the function's role."
  value       = aws_iam_role.this.arn
}

output "environment" {
  description = "Variables of the version that serves; who reads them waits until it does."
  value       = var.environment
  depends_on  = [aws_lambda_alias.live]
}
