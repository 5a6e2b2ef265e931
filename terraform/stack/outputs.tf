output "api_id" {
  description = "Id of the HTTP API."
  value       = module.http_api.id
}

output "api_url" {
  description = "Base URL of the API on AWS: api_url where it is set, else API Gateway's own."
  value       = coalesce(var.api_url, module.http_api.url)
}

output "request_table" {
  description = "Name of the request table."
  value       = module.request_table.name
}

output "queue_urls" {
  description = "Model name to the URL of its request queue."
  value       = { for name, queue in module.request_queue : name => queue.url }
}

output "dead_letter_queue_urls" {
  description = "Model name to the URL of its dead-letter queue."
  value       = { for name, queue in module.request_queue : name => queue.dlq_url }
}

output "function_names" {
  description = "Role to function name: api, dead_letters, sweeper and worker/<model>."
  value = merge(
    {
      api          = module.api.name
      dead_letters = module.dead_letters.name
      sweeper      = module.sweeper.name
    },
    { for name, worker in module.worker : "worker/${name}" => worker.function_name },
  )
}

output "worker_role_arns" {
  description = "Model name to the ARN of its worker's role: whom the policy of a bucket or key in another account has to let in."
  value       = { for name, worker in module.worker : name => worker.role_arn }
}

output "protected" {
  description = "What destroy refuses to delete while deletion_protection is on, by name; empty when it is off."
  value = { for kind, name in {
    request_table    = module.request_table.name
    image_repository = module.container_registry.name
  } : kind => name if var.deletion_protection }
}

output "default_model" {
  description = "Model that POST /predict goes to."
  value       = var.default_model
}

output "ecr_repository_url" {
  description = "Where worker images are pushed to."
  value       = module.container_registry.url
}

output "replay_limits" {
  description = "What a request that is replayed is given, as one that is new: attempts, and times in seconds."
  value = {
    max_attempts      = var.requests.max_attempts
    deadline_seconds  = var.requests.deadline_seconds
    retention_seconds = var.requests.retention_seconds
  }
}
