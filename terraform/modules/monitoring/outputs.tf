output "dashboard_name" {
  description = "Name of the dashboard; null without one."
  value       = one(aws_cloudwatch_dashboard.this[*].dashboard_name)
}

output "topic_arn" {
  description = "ARN of the topic that the alarms notify; null without alarms."
  value       = one(aws_sns_topic.alarms[*].arn)
}

output "alarm_names" {
  description = "Names of the alarms."
  value       = local.alarm_names
}
