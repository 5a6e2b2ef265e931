mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name              = "inference-test-api"
  description       = "Answers."
  package           = { zip = { path = "main.tf", handler = "api.handler", runtime = "python3.13" } }
  attached_policies = {}
  policies          = { table = "{\"Version\":\"2012-10-17\",\"Statement\":[]}", queue = "{\"Version\":\"2012-10-17\",\"Statement\":[]}" }

  architecture         = "x86_64"
  memory_mb            = 256
  ephemeral_storage_mb = 512
  timeout_seconds      = 30
  environment          = { LOG_LEVEL = "INFO" }
  warmth               = {}
  rollout              = {}
  reserved_concurrency = null
  log_retention_days   = 30
  tracing              = false
  invocation_lines     = false
  key                  = null
  vpc                  = null
}

run "zip" {
  assert {
    condition     = aws_lambda_function.this.source_code_hash == filebase64sha256("main.tf") && aws_lambda_function.this.handler == "api.handler"
    error_message = "a zip is deployed with its own hash, so that other code is another version"
  }

  assert {
    condition     = aws_lambda_function.this.publish
    error_message = "each change must publish a version: provisioned concurrency needs one"
  }

  assert {
    condition     = aws_lambda_alias.live.name == "live" && aws_lambda_alias.live.function_version == aws_lambda_function.this.version
    error_message = "the alias live must point to the published version"
  }

  assert {
    condition = length(concat(
      aws_lambda_provisioned_concurrency_config.live, aws_lambda_provisioned_concurrency_config.tracked,
      aws_appautoscaling_target.tracked, aws_appautoscaling_target.scheduled, aws_cloudwatch_event_rule.warmer,
      aws_lambda_permission.warmer, aws_lambda_function_event_invoke_config.warmer, aws_lambda_function.this.snap_start
    )) == 0
    error_message = "nothing keeps environments ready unless it is asked for"
  }

  assert {
    condition     = aws_cloudwatch_log_group.this.name == "/aws/lambda/inference-test-api" && aws_cloudwatch_log_group.this.retention_in_days == 30
    error_message = "the log group Lambda writes to must be Terraform's, with a retention"
  }

  assert {
    condition     = aws_iam_role.this.name == var.name && toset(keys(aws_iam_role_policy.capability)) == toset(["table", "queue"])
    error_message = "the function has a role of its own, with one policy a capability"
  }

  assert {
    condition     = data.aws_iam_policy_document.own_log.statement[0].resources == toset(["arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/inference-test-api:*"])
    error_message = "the function may write to its own log group and to no other"
  }

  assert {
    condition     = one(aws_lambda_function.this.tracing_config).mode == "PassThrough" && length(aws_iam_role_policy.tracing) == 0
    error_message = "nothing is traced unless it is asked for"
  }

  assert {
    condition     = data.aws_iam_policy_document.own_log.statement[0].actions == toset(["logs:CreateLogStream", "logs:PutLogEvents"])
    error_message = "Terraform makes the log group: the function must not have logs:CreateLogGroup"
  }
}

run "quiet" {
  assert {
    condition     = one(aws_lambda_function.this.logging_config).log_format == "JSON" && one(aws_lambda_function.this.logging_config).system_log_level == "WARN" && one(aws_lambda_function.this.logging_config).application_log_level == "TRACE"
    error_message = "Lambda must log only what went wrong, and drop no line of the function's own"
  }

  assert {
    condition     = one(aws_lambda_function.this.logging_config).log_group == aws_cloudwatch_log_group.this.name
    error_message = "the function must log where its role may write"
  }
}

run "each_invocation_is_logged" {
  variables {
    invocation_lines = true
  }

  assert {
    condition     = one(aws_lambda_function.this.logging_config).log_format == "Text"
    error_message = "dead_letters reads lines in the text format"
  }
}

run "without_a_vpc" {
  assert {
    condition     = length(aws_lambda_function.this.vpc_config) == 0 && length(aws_iam_role_policy.network) + length(aws_iam_role_policy.key) == 0
    error_message = "without a VPC and a key the role must have no right to either"
  }
}

run "traced" {
  variables {
    tracing = true
  }

  assert {
    condition     = one(aws_lambda_function.this.tracing_config).mode == "Active"
    error_message = "the function must be traced where it is asked for"
  }

  assert {
    condition     = data.aws_iam_policy_document.tracing[0].statement[0].actions == toset(["xray:PutTelemetryRecords", "xray:PutTraceSegments"]) && aws_iam_role_policy.tracing[0].role == aws_iam_role.this.id
    error_message = "without the right to, Lambda sends no trace"
  }
}

run "image" {
  variables {
    package = {
      image = {
        uri     = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/worker@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
        command = ["worker.handler.handler"]
      }
    }
  }

  assert {
    condition     = aws_lambda_function.this.package_type == "Image" && aws_lambda_function.this.image_uri == var.package.image.uri
    error_message = "the image must be deployed by the digest that was given"
  }

  assert {
    condition     = aws_lambda_function.this.handler == null && aws_lambda_function.this.runtime == null && aws_lambda_function.this.filename == null
    error_message = "AWS rejects handler, runtime and zip beside an image"
  }

  assert {
    condition     = one(aws_lambda_function.this.image_config).command == tolist(["worker.handler.handler"])
    error_message = "the command replaces the image's"
  }
}

run "warm" {
  variables {
    warmth               = { provisioned = 2 }
    reserved_concurrency = 5
    architecture         = "arm64"
    ephemeral_storage_mb = 2048
  }

  assert {
    condition     = aws_lambda_provisioned_concurrency_config.live[0].qualifier == aws_lambda_alias.live.name
    error_message = "warm instances must be the alias's"
  }

  assert {
    condition     = aws_lambda_function.this.reserved_concurrent_executions == 5 && aws_lambda_function.this.architectures == tolist(["arm64"])
    error_message = "reserved concurrency and architecture must reach the function"
  }

  assert {
    condition     = one(aws_lambda_function.this.ephemeral_storage).size == 2048
    error_message = "the size of /tmp must reach the function"
  }
}

run "scheduled" {
  variables {
    warmth = { scheduled = { concurrency = 2, start = "cron(0 8 ? * MON-FRI *)", stop = "cron(0 18 ? * MON-FRI *)", timezone = "Europe/Berlin" } }
  }

  assert {
    condition     = aws_appautoscaling_target.scheduled[0].resource_id == "function:inference-test-api:live"
    error_message = "the number is the alias's, so that a new version has it too"
  }

  assert {
    condition = { for name, action in aws_appautoscaling_scheduled_action.this : name => join(" ", [
      action.schedule, action.timezone, one(action.scalable_target_action).min_capacity, one(action.scalable_target_action).max_capacity
      ]) } == {
      start = "cron(0 8 ? * MON-FRI *) Europe/Berlin 2 2"
      stop  = "cron(0 18 ? * MON-FRI *) Europe/Berlin 0 0"
    }
    error_message = "start sets the number, stop sets none, in the time zone"
  }

  assert {
    condition     = length(aws_lambda_provisioned_concurrency_config.live) + length(aws_lambda_provisioned_concurrency_config.tracked) == 0
    error_message = "Terraform must not set the number that the schedule sets"
  }
}

run "tracking" {
  variables {
    warmth = { tracking = { min = 1, max = 10, target = 0.7 } }
  }

  assert {
    condition     = aws_appautoscaling_target.tracked[0].min_capacity == 1 && aws_appautoscaling_target.tracked[0].max_capacity == 10 && aws_appautoscaling_target.tracked[0].resource_id == "function:inference-test-api:live"
    error_message = "the bounds must reach the alias's target"
  }

  assert {
    condition     = one(aws_appautoscaling_policy.tracked[0].target_tracking_scaling_policy_configuration).target_value == 0.7
    error_message = "seven of ten environments are to be in use"
  }

  assert {
    condition     = aws_lambda_provisioned_concurrency_config.tracked[0].provisioned_concurrent_executions == 1 && length(aws_lambda_provisioned_concurrency_config.live) == 0
    error_message = "there must be an environment from the start: without one there is no utilization to track"
  }
}

# After "tracking", in the same state: the number that Application Auto Scaling has set meanwhile stays.
run "tracking_with_another_minimum" {
  variables {
    warmth = { tracking = { min = 3, max = 10, target = 0.5 } }
  }

  assert {
    condition     = aws_lambda_provisioned_concurrency_config.tracked[0].provisioned_concurrent_executions == 1
    error_message = "Terraform must not set the number that target tracking sets"
  }

  assert {
    condition     = aws_appautoscaling_target.tracked[0].min_capacity == 3 && one(aws_appautoscaling_policy.tracked[0].target_tracking_scaling_policy_configuration).target_value == 0.5
    error_message = "the new minimum and the new target must reach Application Auto Scaling"
  }
}

run "snap_start" {
  variables {
    warmth = { snap_start = true }
  }

  assert {
    condition     = one(aws_lambda_function.this.snap_start).apply_on == "PublishedVersions" && aws_lambda_function.this.publish
    error_message = "only published versions have snapshots"
  }
}

run "warmer" {
  variables {
    warmth = { warmer = { environments = 3, schedule = "rate(5 minutes)" }, snap_start = true }
  }

  assert {
    condition     = aws_cloudwatch_event_rule.warmer[0].schedule_expression == "rate(5 minutes)" && aws_cloudwatch_event_rule.warmer[0].name == var.name
    error_message = "the rule is named after the function; Lambda keeps an idle environment for some minutes"
  }

  assert {
    condition     = toset([for ping in aws_cloudwatch_event_target.warmer : "${ping.target_id} ${ping.arn} ${ping.input}"]) == toset([for i in range(3) : "ping-${i} ${aws_lambda_alias.live.arn} {\"ping\":{\"hold_ms\":200}}"])
    error_message = "as many pings at once as environments, each of the alias, each holding its environment"
  }

  assert {
    condition     = alltrue([for ping in aws_cloudwatch_event_target.warmer : one(ping.retry_policy).maximum_retry_attempts == 0]) && aws_lambda_function_event_invoke_config.warmer[0].maximum_retry_attempts == 0 && aws_lambda_function_event_invoke_config.warmer[0].qualifier == "live"
    error_message = "a ping is never repeated"
  }

  assert {
    condition     = aws_lambda_permission.warmer[0].qualifier == "live" && aws_lambda_permission.warmer[0].source_arn == aws_cloudwatch_event_rule.warmer[0].arn && aws_lambda_permission.warmer[0].principal == "events.amazonaws.com"
    error_message = "only this rule may invoke the alias"
  }
}

run "warmer_of_one" {
  variables {
    warmth = { warmer = { environments = 1, schedule = "rate(5 minutes)" } }
  }

  assert {
    condition     = one(aws_cloudwatch_event_target.warmer).input == "{\"ping\":{\"hold_ms\":0}}"
    error_message = "one ping has no others to wait for"
  }
}

run "with_a_key" {
  variables {
    key = { arn = "arn:aws:kms:eu-west-1:123456789012:key/1", decrypts_by = ["dynamodb", "sqs"], encrypts_by = ["sqs"] }
  }

  assert {
    condition     = aws_cloudwatch_log_group.this.kms_key_id == var.key.arn
    error_message = "the key must encrypt the log"
  }

  assert {
    condition     = { for statement in data.aws_iam_policy_document.key[0].statement : one(statement.actions) => one(statement.condition).values } == { "kms:Decrypt" = tolist(["dynamodb.eu-west-1.amazonaws.com", "sqs.eu-west-1.amazonaws.com"]), "kms:GenerateDataKey" = tolist(["sqs.eu-west-1.amazonaws.com"]) }
    error_message = "the key may be used by way of the services that were named alone"
  }

  assert {
    condition     = alltrue([for statement in data.aws_iam_policy_document.key[0].statement : statement.resources == toset([var.key.arn]) && one(statement.condition).variable == "kms:ViaService"]) && aws_iam_role_policy.key[0].role == aws_iam_role.this.id
    error_message = "the role may use this key and no other"
  }
}

run "with_a_key_to_read" {
  variables {
    key = { arn = "arn:aws:kms:eu-west-1:123456789012:key/1", decrypts_by = ["dynamodb"], encrypts_by = [] }
  }

  assert {
    condition     = one(one(data.aws_iam_policy_document.key[0].statement).actions) == "kms:Decrypt"
    error_message = "who writes nothing must not have kms:GenerateDataKey"
  }
}

run "in_a_vpc" {
  variables {
    vpc = { subnet_ids = ["subnet-a", "subnet-b"], security_group_ids = ["sg-functions"] }
  }

  assert {
    condition     = one(aws_lambda_function.this.vpc_config).subnet_ids == toset(["subnet-a", "subnet-b"]) && one(aws_lambda_function.this.vpc_config).security_group_ids == toset(["sg-functions"])
    error_message = "the function must be in the subnets, with the security groups"
  }

  assert {
    condition     = [for statement in data.aws_iam_policy_document.network[0].statement : statement.resources] == [toset(["*"]), toset(["arn:aws:ec2:eu-west-1:123456789012:*/*"]), toset(["*"])] && !anytrue([for action in data.aws_iam_policy_document.network[0].statement[0].actions : !startswith(action, "ec2:Describe")])
    error_message = "only what EC2 has no resources for may be allowed on all"
  }

  assert {
    condition     = data.aws_iam_policy_document.network[0].statement[2].effect == "Deny" && one(data.aws_iam_policy_document.network[0].statement[2].condition).variable == "lambda:SourceFunctionArn" && one(data.aws_iam_policy_document.network[0].statement[2].condition).values == tolist(["arn:aws:lambda:eu-west-1:123456789012:function:inference-test-api"])
    error_message = "the function's own code must not make network interfaces"
  }

  assert {
    condition     = aws_iam_role_policy.network[0].role == aws_iam_role.this.id
    error_message = "the role must have the rights"
  }
}

# The version that the mock publishes is 7.

run "canary" {
  variables {
    rollout = { canary = 0.1, kept = { version = "6", rejected = ["5"], package_type = "Zip" }, alarm_actions = ["arn:aws:sns:eu-west-1:123456789012:alarms"] }
  }

  assert {
    condition     = aws_lambda_alias.live.function_version == "6" && one(aws_lambda_alias.live.routing_config).additional_version_weights == tomap({ "7" = 0.1 })
    error_message = "the kept version serves, and the new one gets its share"
  }

  assert {
    condition     = output.canary_alarm == "inference-test-api-canary" && length([for query in aws_cloudwatch_metric_alarm.canary[0].metric_query : query if try(query.metric[0].dimensions, null) == tomap({ FunctionName = "inference-test-api", Resource = "inference-test-api:live", ExecutedVersion = "7" })]) == 2
    error_message = "the alarm must read what Lambda counts of the new version alone"
  }

  assert {
    condition     = aws_cloudwatch_log_metric_filter.canary[0].pattern == "{ $.function_version = \"7\" }" && aws_cloudwatch_log_metric_filter.canary[0].log_group_name == "/aws/lambda/inference-test-api" && contains([for query in aws_cloudwatch_metric_alarm.canary[0].metric_query : try(query.metric[0].metric_name, "")], aws_cloudwatch_log_metric_filter.canary[0].metric_transformation[0].name)
    error_message = "the alarm must read the errors that the new version logs"
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.canary[0].alarm_actions == toset(["arn:aws:sns:eu-west-1:123456789012:alarms"])
    error_message = "the alarm notifies who the other alarms notify"
  }
}

run "canary_without_a_new_version" {
  variables {
    rollout = { canary = 0.1, kept = { version = "7", rejected = [], package_type = "Zip" } }
  }

  assert {
    condition     = aws_lambda_alias.live.function_version == "7" && length(aws_lambda_alias.live.routing_config) == 0
    error_message = "Lambda rejects a weight of the version that the alias points to"
  }
}

run "canary_of_the_first_version" {
  variables {
    rollout = { canary = 0.1 }
  }

  assert {
    condition     = aws_lambda_alias.live.function_version == "7" && length(aws_lambda_alias.live.routing_config) == 0
    error_message = "where no version served before, the first one serves alone"
  }
}

run "rejected_canary" {
  variables {
    rollout = { canary = 0.1, kept = { version = "6", rejected = ["7"], package_type = "Zip" } }
  }

  assert {
    condition     = aws_lambda_alias.live.function_version == "6" && length(aws_lambda_alias.live.routing_config) == 0
    error_message = "a version that was rolled back gets nothing"
  }
}

run "rolled_back" {
  variables {
    rollout = { kept = { version = "5", rejected = ["6", "7"], package_type = "Zip" } }
  }

  assert {
    condition     = aws_lambda_alias.live.function_version == "5" && length(aws_lambda_alias.live.routing_config) == 0 && output.canary_alarm == null
    error_message = "an apply must not bring back a version that was rolled back"
  }
}

run "newer_than_what_was_rolled_back" {
  variables {
    rollout = { kept = { version = "5", rejected = ["6"], package_type = "Zip" } }
  }

  assert {
    condition     = aws_lambda_alias.live.function_version == "7"
    error_message = "without a canary, the next version serves at once"
  }
}

run "another_package_type" {
  variables {
    rollout = { canary = 0.1, kept = { version = "6", rejected = ["7"], package_type = "Image" } }
  }

  assert {
    condition     = aws_lambda_alias.live.function_version == "7" && length(aws_lambda_alias.live.routing_config) == 0
    error_message = "the function was replaced, and its versions are gone"
  }
}

run "attached_policies" {
  variables {
    attached_policies = { queue-2 = "{\"Statement\":[]}" }
  }

  assert {
    condition     = aws_iam_policy.attached["queue-2"].name == "${var.name}-queue-2" && aws_iam_policy.attached["queue-2"].policy == "{\"Statement\":[]}"
    error_message = "what does not fit inline is a managed policy, named after the function"
  }

  assert {
    condition     = aws_iam_role_policy_attachment.attached["queue-2"].role == aws_iam_role.this.name && aws_iam_role_policy_attachment.attached["queue-2"].policy_arn == aws_iam_policy.attached["queue-2"].arn
    error_message = "it belongs to the function's role"
  }
}
