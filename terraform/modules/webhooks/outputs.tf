output "queue_url" {
  description = "URL of the deliverer's queue; built from its name, so that it is known before the queue."
  value       = local.queue_url
}

output "queue_arn" {
  description = "ARN of the deliverer's queue; built from its name."
  value       = local.queue_arn
}

output "dead_letter_queue_url" {
  description = "URL of the webhooks' dead-letter queue."
  value       = module.dead_letter_queue.url
}

output "dead_letter_queue_name" {
  description = "Name of the webhooks' dead-letter queue."
  value       = local.dlq_name
}

output "function_names" {
  description = "Names of the functions by role: relay and deliverer."
  value       = { relay = module.relay.name, deliverer = module.deliverer.name }
}

output "options_json" {
  description = "What the api function and the deliverer must agree on, as JSON."
  value       = local.options_json
}
