output "api_id" {
  description = "Id of the HTTP API."
  value       = module.stack.api_id
}

output "api_url" {
  description = "Base URL of the API on AWS: api_url where it is set, else API Gateway's own."
  value       = module.stack.api_url
}

output "request_table" {
  description = "Name of the request table."
  value       = module.stack.request_table
}

output "queue_urls" {
  description = "Model name to the URL of its request queue."
  value       = module.stack.queue_urls
}

output "dead_letter_queue_urls" {
  description = "Model name to the URL of its dead-letter queue."
  value       = module.stack.dead_letter_queue_urls
}

output "function_names" {
  description = "Role to function name: api, dead_letters, sweeper and worker/<model>."
  value       = module.stack.function_names
}

output "worker_role_arns" {
  description = "Model name to the ARN of its worker's role: whom the policy of a bucket or key in another account has to let in."
  value       = module.stack.worker_role_arns
}

output "protected" {
  description = "What destroy refuses to delete while deletion_protection is on, by name; empty when it is off."
  value       = module.stack.protected
}

output "default_model" {
  description = "Model that POST /predict goes to."
  value       = module.stack.default_model
}

output "ecr_repository_url" {
  description = "Where worker images are pushed to."
  value       = module.stack.ecr_repository_url
}

output "replay_limits" {
  description = "What a request that is replayed is given, as one that is new: attempts, and times in seconds."
  value       = module.stack.replay_limits
}
