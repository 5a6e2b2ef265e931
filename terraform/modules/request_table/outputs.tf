output "name" {
  description = "Name of the request table."
  value       = aws_dynamodb_table.this.name
}
