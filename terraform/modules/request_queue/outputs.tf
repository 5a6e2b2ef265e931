output "url" {
  description = "URL of the request queue."
  value       = aws_sqs_queue.this.url
}

output "arn" {
  description = "ARN of the request queue."
  value       = aws_sqs_queue.this.arn
}
