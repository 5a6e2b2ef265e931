output "function_name" {
  description = "Name of the worker's function."
  value       = module.function.name
}

output "canary_alarm" {
  description = "Name of the canary's alarm; null without a canary."
  value       = module.function.canary_alarm
}

output "role_arn" {
  description = "ARN of the worker's role: whom the policy of a bucket or a key in another account has to let in."
  value       = module.function.role_arn
}

output "read_policy" {
  description = "What the worker may read in S3 for its models, as JSON; null is nothing."
  value       = one(data.aws_iam_policy_document.read[*].json)
}

output "models" {
  description = "Names of the models that the version that serves has; who reads them waits until it does."
  value       = keys(jsondecode(module.function.environment.MODELS))
}

output "token_policy" {
  description = "Of a dispatcher: the right to read its provider's token, as a policy; null for another worker."
  value       = one(data.aws_iam_policy_document.token[*].json)
}
