output "function_name" {
  description = "Name of the worker's function."
  value       = module.function.name
}

output "alias_arn" {
  description = "ARN of the alias that the queue invokes."
  value       = module.function.alias_arn
}

output "role_name" {
  description = "Name of the worker's role."
  value       = module.function.role_name
}

output "role_arn" {
  description = "ARN of the worker's role: whom the policy of a bucket or a key in another account has to let in."
  value       = module.function.role_arn
}

output "log_group_name" {
  description = "Name of the worker's log group."
  value       = module.function.log_group_name
}

output "mapping_id" {
  description = "Id of the event source mapping from the request queue."
  value       = aws_lambda_event_source_mapping.queue.uuid
}
