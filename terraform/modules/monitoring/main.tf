data "aws_partition" "current" {}
data "aws_caller_identity" "current" {}

# For its region: what aws_region calls that differs between version 5 and 6 of the provider.
data "aws_service" "sns" {
  service_id = "sns"
}

locals {
  # As in lambda/inference/telemetry.py.
  namespace = "Inference"

  region     = data.aws_service.sns.region
  topic_name = "${var.name}-alarms"
  topic_arn  = "arn:${data.aws_partition.current.partition}:sns:${local.region}:${data.aws_caller_identity.current.account_id}:${local.topic_name}"

  alarmed_workers = { for name, worker in var.workers : name => worker if var.alarms && worker.alarms }
  alarmed_functions = !var.alarms ? {} : merge(
    { for role, name in var.functions : replace(role, "_", "-") => name if name != null },
    { for name, function in var.sync_functions : "sync-${name}" => function },
    { for name, worker in local.alarmed_workers : "worker-${name}" => worker.function },
  )

  alarm_names = sort(concat(
    [for alarm in aws_cloudwatch_metric_alarm.oldest_message : alarm.alarm_name],
    [for alarm in aws_cloudwatch_metric_alarm.dead_letters_kept : alarm.alarm_name],
    [for alarm in aws_cloudwatch_metric_alarm.failures : alarm.alarm_name],
    [for alarm in aws_cloudwatch_metric_alarm.duration : alarm.alarm_name],
    [for alarm in aws_cloudwatch_metric_alarm.throttles : alarm.alarm_name],
    [for alarm in aws_cloudwatch_metric_alarm.dead_letters : alarm.alarm_name],
    [for alarm in aws_cloudwatch_metric_alarm.webhook_dead_letters : alarm.alarm_name],
    [for alarm in aws_cloudwatch_metric_alarm.intake_dead_letters : alarm.alarm_name],
    [for alarm in aws_cloudwatch_metric_alarm.api_errors : alarm.alarm_name],
    [for alarm in aws_cloudwatch_metric_alarm.sweeper : alarm.alarm_name],
  ))
}

# Without a key of the account's own it is not encrypted: alarms can't publish by way of the one that AWS manages.
resource "aws_sns_topic" "alarms" {
  count = var.alarms ? 1 : 0

  name              = local.topic_name
  kms_master_key_id = var.kms_key_arn
}

data "aws_iam_policy_document" "topic" {
  count = var.alarms ? 1 : 0

  statement {
    sid       = "Alarms"
    actions   = ["sns:Publish"]
    resources = [local.topic_arn]

    principals {
      type        = "Service"
      identifiers = ["cloudwatch.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.current.account_id]
    }
  }
}

resource "aws_sns_topic_policy" "alarms" {
  count = var.alarms ? 1 : 0

  arn    = aws_sns_topic.alarms[0].arn
  policy = data.aws_iam_policy_document.topic[0].json
}

resource "aws_sns_topic_subscription" "email" {
  for_each = var.alarms ? toset(var.emails) : []

  topic_arn = aws_sns_topic.alarms[0].arn
  protocol  = "email"
  endpoint  = each.value
}
