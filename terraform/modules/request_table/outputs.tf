output "name" {
  description = "Name of the request table."
  value       = aws_dynamodb_table.this.name
}

output "stream_arn" {
  description = "ARN of the table's stream; null without one."
  value       = var.stream ? aws_dynamodb_table.this.stream_arn : null
}
