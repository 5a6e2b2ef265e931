output "function_names" {
  description = "Names of the functions by role: intake, and results where a trigger writes some."
  value       = merge({ intake = module.intake.name }, { for function in module.results : "results" => function.name })
}

output "dead_letter_queue_name" {
  description = "Name of the dead-letter queue of events."
  value       = local.dlq_name
}

output "dead_letter_queue_url" {
  description = "URL of the dead-letter queue of events."
  value       = module.dead_letter_queue.url
}

output "queue_url" {
  description = "URL of the queue of events."
  value       = module.queue.url
}
