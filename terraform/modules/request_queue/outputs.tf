output "name" {
  description = "Name of the request queue."
  value       = aws_sqs_queue.this.name
}

output "url" {
  description = "URL of the request queue."
  value       = aws_sqs_queue.this.url
}

output "arn" {
  description = "ARN of the request queue."
  value       = aws_sqs_queue.this.arn
}

output "dlq_name" {
  description = "Name of the dead-letter queue."
  value       = aws_sqs_queue.dlq.name
}

output "dlq_url" {
  description = "URL of the dead-letter queue."
  value       = aws_sqs_queue.dlq.url
}

output "dlq_arn" {
  description = "ARN of the dead-letter queue."
  value       = aws_sqs_queue.dlq.arn
}

output "visibility_timeout_seconds" {
  description = "How long a message that a worker took, and then died, stays invisible."
  value       = aws_sqs_queue.this.visibility_timeout_seconds
}
