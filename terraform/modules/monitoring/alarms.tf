# The alarms. What each means and what to do is in docs/operations.md. A period of 300 s and two of three periods, where
# nothing else is said: one bad minute calls nobody. No data is no alarm: a stack without requests has none.

locals {
  alarm_actions = aws_sns_topic.alarms[*].arn
}

# Of each worker

resource "aws_cloudwatch_metric_alarm" "failures" {
  for_each = { for name, worker in local.alarmed_workers : name => worker if var.metrics }

  alarm_name          = "${var.name}-${each.key}-failures"
  alarm_description   = "More than ${var.failed_share * 100} % of the requests of the worker ${each.key} failed."
  evaluation_periods  = 3
  datapoints_to_alarm = 2
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.failed_share
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.alarm_actions
  ok_actions          = local.alarm_actions

  metric_query {
    id          = "share"
    label       = "Share of failed requests"
    expression  = "IF(failed + succeeded > 0, failed / (failed + succeeded), 0)"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = { failed = "Failed", succeeded = "Succeeded" }

    content {
      id = metric_query.key

      metric {
        namespace   = local.namespace
        metric_name = metric_query.value
        dimensions  = { Environment = var.name, Model = each.key }
        stat        = "Sum"
        period      = 300
      }
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "oldest_message" {
  for_each = local.alarmed_workers

  alarm_name          = "${var.name}-${each.key}-oldest-message"
  alarm_description   = "A request of the worker ${each.key} has waited for more than ${var.oldest_message_seconds} s."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateAgeOfOldestMessage"
  dimensions          = { QueueName = each.value.queue }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 2
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.oldest_message_seconds
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.alarm_actions
  ok_actions          = local.alarm_actions
}

resource "aws_cloudwatch_metric_alarm" "duration" {
  for_each = local.alarmed_workers

  alarm_name          = "${var.name}-${each.key}-duration"
  alarm_description   = "The slowest of a hundred invocations of the worker ${each.key} took more than 80 % of its timeout of ${each.value.timeout_seconds} s."
  namespace           = "AWS/Lambda"
  metric_name         = "Duration"
  dimensions          = { FunctionName = each.value.function }
  extended_statistic  = "p99"
  period              = 300
  evaluation_periods  = 3
  datapoints_to_alarm = 2
  comparison_operator = "GreaterThanThreshold"
  threshold           = 800 * each.value.timeout_seconds
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.alarm_actions
  ok_actions          = local.alarm_actions
}

# Of each function

resource "aws_cloudwatch_metric_alarm" "throttles" {
  for_each = local.alarmed_functions

  alarm_name          = "${var.name}-${each.key}-throttles"
  alarm_description   = "Lambda rejected invocations of ${each.value}: the account's or the function's concurrency was used up."
  namespace           = "AWS/Lambda"
  metric_name         = "Throttles"
  dimensions          = { FunctionName = each.value }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 3
  datapoints_to_alarm = 2
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.alarm_actions
  ok_actions          = local.alarm_actions
}

# Of the deployment

# The dead_letters function empties the queue within seconds, so what stays there it can't end.
resource "aws_cloudwatch_metric_alarm" "dead_letters_kept" {
  count = var.alarms ? 1 : 0

  alarm_name          = "${var.name}-dead-letters-kept"
  alarm_description   = "Messages stay in the dead-letter queue: the dead_letters function can't end their requests."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = var.dead_letter_queue }
  statistic           = "Minimum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.alarm_actions
  ok_actions          = local.alarm_actions
}

# Its invocations, since a message is in the dead-letter queue for seconds only, and SQS counts once a minute.
resource "aws_cloudwatch_metric_alarm" "dead_letters" {
  count = var.alarms ? 1 : 0

  alarm_name          = "${var.name}-dead-letters"
  alarm_description   = "Messages came to the dead-letter queue, and their requests failed."
  namespace           = "AWS/Lambda"
  metric_name         = "Invocations"
  dimensions          = { FunctionName = var.functions.dead_letters }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.alarm_actions
  ok_actions          = local.alarm_actions
}

# A redrive sends them again, and empties the queue.
resource "aws_cloudwatch_metric_alarm" "webhook_dead_letters" {
  count = var.alarms && var.webhook_dead_letter_queue != null ? 1 : 0

  alarm_name          = "${var.name}-webhook-dead-letters"
  alarm_description   = "Webhooks were given up after their last attempt, or could not be processed."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = var.webhook_dead_letter_queue }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.alarm_actions
  ok_actions          = local.alarm_actions
}

# Objects that have no requests; a redrive tries them again, and empties the queue.
resource "aws_cloudwatch_metric_alarm" "intake_dead_letters" {
  count = var.alarms && var.intake_dead_letter_queue != null ? 1 : 0

  alarm_name          = "${var.name}-intake-dead-letters"
  alarm_description   = "Events of objects that became no requests, or outcomes that were not written to a results place."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = var.intake_dead_letter_queue }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.alarm_actions
  ok_actions          = local.alarm_actions
}

resource "aws_cloudwatch_metric_alarm" "api_errors" {
  count = var.alarms ? 1 : 0

  alarm_name          = "${var.name}-api-errors"
  alarm_description   = "More than ${var.failed_share * 100} % of the calls of the API were answered 5xx."
  evaluation_periods  = 3
  datapoints_to_alarm = 2
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.failed_share
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.alarm_actions
  ok_actions          = local.alarm_actions

  metric_query {
    id          = "share"
    label       = "Share of calls answered 5xx"
    expression  = "IF(calls > 0, errors / calls, 0)"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = { calls = "Count", errors = "5xx" }

    content {
      id = metric_query.key

      metric {
        namespace   = "AWS/ApiGateway"
        metric_name = metric_query.value
        dimensions  = { ApiId = var.api_id }
        stat        = "Sum"
        period      = 300
      }
    }
  }
}

locals {
  # How often the sweeper runs, in seconds; of a cron expression it is not known, and once a day is assumed.
  sweeper_rate = try(regex("^rate\\((?P<number>[0-9]+) (?P<unit>minute|hour|day)s?\\)$", var.sweeper_schedule), null)
  sweeper_seconds = local.sweeper_rate == null ? 86400 : (
    tonumber(local.sweeper_rate.number) * { minute = 60, hour = 3600, day = 86400 }[local.sweeper_rate.unit]
  )
}

# Here no data is the alarm. No alarm where the sweeper runs more rarely than each day: no period is longer.
resource "aws_cloudwatch_metric_alarm" "sweeper" {
  count = var.alarms && local.sweeper_seconds <= 86400 ? 1 : 0

  alarm_name          = "${var.name}-sweeper"
  alarm_description   = "The sweeper did not run, or failed, three times in a row: requests that nothing else ends stay open."
  evaluation_periods  = 3
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  treat_missing_data  = "breaching"
  alarm_actions       = local.alarm_actions
  ok_actions          = local.alarm_actions

  metric_query {
    id          = "sweeps"
    label       = "Sweeps that ended"
    expression  = "runs - errors"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = { runs = "Invocations", errors = "Errors" }

    content {
      id = metric_query.key

      metric {
        namespace   = "AWS/Lambda"
        metric_name = metric_query.value
        dimensions  = { FunctionName = var.functions.sweeper }
        stat        = "Sum"
        period      = max(300, local.sweeper_seconds)
      }
    }
  }
}
