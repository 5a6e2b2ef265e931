output "arn" {
  description = "ARN of the distribution, which the bucket's policy lets in."
  value       = aws_cloudfront_distribution.this.arn
}

output "url" {
  description = "What the URL of a result begins with; its key follows."
  value       = "https://${aws_cloudfront_distribution.this.domain_name}/"
}
