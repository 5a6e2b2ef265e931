output "name" {
  description = "Name of the repository."
  value       = aws_ecr_repository.this.name
}
