output "dashboard_name" {
  description = "Name of the (first) dashboard; null without one."
  value       = try(aws_cloudwatch_dashboard.this[0].dashboard_name, null)
}

output "topic_arn" {
  description = "ARN of the topic that the alarms notify; null without alarms."
  value       = one(aws_sns_topic.alarms[*].arn)
}

output "alarm_names" {
  description = "Names of the alarms."
  value       = local.alarm_names
}
