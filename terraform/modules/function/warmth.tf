# How environments are kept ready for the next invocation: the number of the alias, set by Terraform or by Application Auto
# Scaling, and pings. SnapStart is an attribute of the function (main.tf).

locals {
  alias_resource_id = "function:${var.name}:${aws_lambda_alias.live.name}"

  # Who sets the number of the alias's environments.
  number_set_by = (
    var.warmth.scheduled != null ? "schedule" :
    var.warmth.tracking != null ? "tracking" :
    coalesce(var.warmth.provisioned, 0) > 0 ? "terraform" : "nobody"
  )
}

# All that sets the number depends on this, so that when another one takes over, the first is deleted before the second is
# created. The two have one configuration of Lambda and one scalable target: a deletion that comes later would delete both.
resource "terraform_data" "number_set_by" {
  triggers_replace = [local.number_set_by]
}

resource "aws_lambda_provisioned_concurrency_config" "live" {
  count = coalesce(var.warmth.provisioned, 0) > 0 ? 1 : 0

  function_name                     = aws_lambda_function.this.function_name
  qualifier                         = aws_lambda_alias.live.name
  provisioned_concurrent_executions = var.warmth.provisioned

  lifecycle {
    replace_triggered_by = [terraform_data.package_type]
  }

  depends_on = [terraform_data.number_set_by]
}

# With target tracking it exists from the start, since without an environment there is no utilization to track, and it is
# deleted when the setting is. The number in between is Application Auto Scaling's.
resource "aws_lambda_provisioned_concurrency_config" "tracked" {
  count = var.warmth.tracking == null ? 0 : 1

  function_name                     = aws_lambda_function.this.function_name
  qualifier                         = aws_lambda_alias.live.name
  provisioned_concurrent_executions = var.warmth.tracking.min

  lifecycle {
    ignore_changes       = [provisioned_concurrent_executions]
    replace_triggered_by = [terraform_data.package_type]
  }

  depends_on = [terraform_data.number_set_by]
}

resource "aws_appautoscaling_target" "tracked" {
  count = var.warmth.tracking == null ? 0 : 1

  service_namespace  = "lambda"
  scalable_dimension = "lambda:function:ProvisionedConcurrency"
  resource_id        = local.alias_resource_id
  min_capacity       = var.warmth.tracking.min
  max_capacity       = var.warmth.tracking.max

  depends_on = [aws_lambda_provisioned_concurrency_config.tracked, terraform_data.number_set_by]
}

resource "aws_appautoscaling_policy" "tracked" {
  count = var.warmth.tracking == null ? 0 : 1

  name               = var.name
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.tracked[0].service_namespace
  scalable_dimension = aws_appautoscaling_target.tracked[0].scalable_dimension
  resource_id        = aws_appautoscaling_target.tracked[0].resource_id

  target_tracking_scaling_policy_configuration {
    target_value = var.warmth.tracking.target

    predefined_metric_specification {
      predefined_metric_type = "LambdaProvisionedConcurrencyUtilization"
    }
  }
}

# The scheduled actions set both bounds, to the same number: Terraform says them once and then leaves them alone.
resource "aws_appautoscaling_target" "scheduled" {
  count = var.warmth.scheduled == null ? 0 : 1

  service_namespace  = "lambda"
  scalable_dimension = "lambda:function:ProvisionedConcurrency"
  resource_id        = local.alias_resource_id
  min_capacity       = 0
  max_capacity       = var.warmth.scheduled.concurrency

  lifecycle {
    ignore_changes = [min_capacity, max_capacity]
  }

  depends_on = [terraform_data.number_set_by]
}

resource "aws_appautoscaling_scheduled_action" "this" {
  for_each = var.warmth.scheduled == null ? {} : {
    start = { at = var.warmth.scheduled.start, number = var.warmth.scheduled.concurrency }
    stop  = { at = var.warmth.scheduled.stop, number = 0 }
  }

  name               = "${var.name}-${each.key}"
  service_namespace  = aws_appautoscaling_target.scheduled[0].service_namespace
  scalable_dimension = aws_appautoscaling_target.scheduled[0].scalable_dimension
  resource_id        = aws_appautoscaling_target.scheduled[0].resource_id
  schedule           = each.value.at
  timezone           = var.warmth.scheduled.timezone

  scalable_target_action {
    min_capacity = each.value.number
    max_capacity = each.value.number
  }
}

# The warmer: one rule, whose targets are so many pings of the alias at the same time. Each waits for a moment (hold_ms) before
# it returns, so that the others need environments of their own.
locals {
  warmer_environments = try(var.warmth.warmer.environments, 0)
}

resource "aws_cloudwatch_event_rule" "warmer" {
  count = local.warmer_environments > 0 ? 1 : 0

  name                = var.name
  description         = "Keeps environments of the function ${var.name}."
  schedule_expression = var.warmth.warmer.schedule
}

resource "aws_cloudwatch_event_target" "warmer" {
  count = local.warmer_environments

  rule      = aws_cloudwatch_event_rule.warmer[0].name
  target_id = "ping-${count.index}"
  arn       = aws_lambda_alias.live.arn
  input     = jsonencode({ ping = { hold_ms = local.warmer_environments > 1 ? 200 : 0 } })

  retry_policy {
    maximum_event_age_in_seconds = 60
    maximum_retry_attempts       = 0
  }
}

resource "aws_lambda_permission" "warmer" {
  count = local.warmer_environments > 0 ? 1 : 0

  function_name = aws_lambda_function.this.function_name
  qualifier     = aws_lambda_alias.live.name
  action        = "lambda:InvokeFunction"
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.warmer[0].arn

  lifecycle {
    replace_triggered_by = [terraform_data.package_type]
  }
}

# A ping that comes late is of no use: by default Lambda would keep one that it throttles for six hours.
resource "aws_lambda_function_event_invoke_config" "warmer" {
  count = local.warmer_environments > 0 ? 1 : 0

  function_name                = aws_lambda_function.this.function_name
  qualifier                    = aws_lambda_alias.live.name
  maximum_event_age_in_seconds = 60
  maximum_retry_attempts       = 0

  lifecycle {
    replace_triggered_by = [terraform_data.package_type]
  }
}
