# Which published version serves. Only `make promote` and `make rollback` decide it; without a decision it is the newest.

locals {
  canary         = coalesce(var.rollout.canary, 0)
  newest_version = aws_lambda_function.this.version

  # A function of another package type is another function, without the versions of the old one.
  kept = try(var.rollout.kept.package_type, null) == terraform_data.package_type.input ? var.rollout.kept : null

  serving_version = (
    local.kept == null ? local.newest_version :
    local.canary > 0 ? local.kept.version :
    contains(local.kept.rejected, local.newest_version) ? local.kept.version : local.newest_version
  )

  # Lambda rejects a weight of the version that the alias points to.
  canary_versions = local.kept == null || local.canary == 0 ? [] : [
    for version in [local.newest_version] : version if version != local.kept.version && !contains(local.kept.rejected, version)
  ]
}

# The alarm of a canary: what Lambda counts (crashes, timeouts, too little memory), and what the function logs as an error, since a
# worker that returns its messages has not failed for Lambda. Only a line of an error has the version: the level is not asked for,
# since Lambda takes lines without a timestamp for INFO where its log format is JSON. Lambda counts invocations by executed version while the alias has two;
# in other times there is no canary, and no alarm.

resource "aws_cloudwatch_log_metric_filter" "canary" {
  count = local.canary > 0 ? 1 : 0

  name           = "${var.name}-canary"
  log_group_name = aws_cloudwatch_log_group.this.name
  pattern        = "{ $.function_version = \"${local.newest_version}\" }"

  metric_transformation {
    namespace     = "Inference"
    name          = "${var.name}-canary-errors"
    value         = "1"
    default_value = "0"
  }
}

resource "aws_cloudwatch_metric_alarm" "canary" {
  count = local.canary > 0 ? 1 : 0

  alarm_name          = "${var.name}-canary"
  alarm_description   = "The new version of ${var.name}, a canary, has errors: `make rollback`."
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.rollout.alarm_actions
  ok_actions          = var.rollout.alarm_actions

  metric_query {
    id          = "all"
    label       = "Errors of the canary"
    expression  = "IF(invocations > 0, errors + FILL(logged, 0), 0)"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = { invocations = "Invocations", errors = "Errors" }

    content {
      id = metric_query.key

      metric {
        namespace   = "AWS/Lambda"
        metric_name = metric_query.value
        stat        = "Sum"
        period      = 300

        dimensions = {
          FunctionName    = aws_lambda_function.this.function_name
          Resource        = "${aws_lambda_function.this.function_name}:${aws_lambda_alias.live.name}"
          ExecutedVersion = local.newest_version
        }
      }
    }
  }

  metric_query {
    id = "logged"

    metric {
      namespace   = aws_cloudwatch_log_metric_filter.canary[0].metric_transformation[0].namespace
      metric_name = aws_cloudwatch_log_metric_filter.canary[0].metric_transformation[0].name
      stat        = "Sum"
      period      = 300
    }
  }
}
