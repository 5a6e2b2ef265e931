output "name" {
  description = "Name of the request table."
  value       = aws_dynamodb_table.this.name
}

output "arn" {
  description = "ARN of the request table."
  value       = aws_dynamodb_table.this.arn
}

output "open_index_arn" {
  description = "ARN of the sparse index of the requests that are not final."
  value       = "${aws_dynamodb_table.this.arn}/index/open"
}
