mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name      = "inference-test"
  dashboard = true
  alarms    = true
  emails    = []
  workers = {
    sentiment = { queue = "inference-test-sentiment", function = "inference-test-worker-sentiment", timeout_seconds = 60, alarms = true }
    trial     = { queue = "inference-test-trial", function = "inference-test-worker-trial", timeout_seconds = 10, alarms = false }
  }
  dead_letter_queue         = "inference-test-dlq"
  webhook_dead_letter_queue = null
  intake_dead_letter_queue  = null
  functions                 = { api = "inference-test-api", dead_letters = "inference-test-dead-letters", sweeper = "inference-test-sweeper", batches = "inference-test-batches" }
  sync_functions            = {}
  api_id                    = "mockapi"
  metrics                   = true
  error_codes               = ["invalid_input", "model_error", "out_of_memory"]
  sweeper_schedule          = "rate(5 minutes)"
  oldest_message_seconds    = 900
  failed_share              = 0.05
  kms_key_arn               = null
}

run "everything" {
  variables {
    emails = ["team@example.com"]
  }

  assert {
    condition     = keys(aws_cloudwatch_metric_alarm.oldest_message) == ["sentiment"] && keys(aws_cloudwatch_metric_alarm.duration) == ["sentiment"] && keys(aws_cloudwatch_metric_alarm.failures) == ["sentiment"]
    error_message = "only the workers that are to have alarms may have them"
  }

  assert {
    condition     = toset(keys(aws_cloudwatch_metric_alarm.throttles)) == toset(["api", "batches", "dead-letters", "sweeper", "worker-sentiment"])
    error_message = "a throttled function must be seen, a worker where it has alarms"
  }

  assert {
    condition = alltrue([for alarm in [aws_cloudwatch_metric_alarm.oldest_message["sentiment"]] :
      alarm.namespace == "AWS/SQS" && alarm.metric_name == "ApproximateAgeOfOldestMessage" && alarm.dimensions == tomap({ QueueName = "inference-test-sentiment" }) && alarm.statistic == "Maximum" && alarm.threshold == 900 && alarm.comparison_operator == "GreaterThanThreshold"
    ])
    error_message = "a request that waits too long must be seen, in the model's own queue"
  }

  assert {
    condition = alltrue([for alarm in [aws_cloudwatch_metric_alarm.dead_letters_kept[0]] :
      alarm.metric_name == "ApproximateNumberOfMessagesVisible" && alarm.dimensions == tomap({ QueueName = "inference-test-dlq" }) && alarm.threshold == 0 && alarm.comparison_operator == "GreaterThanThreshold"
    ])
    error_message = "any message that stays in the dead-letter queue must be seen"
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.dead_letters[0].metric_name == "Invocations" && aws_cloudwatch_metric_alarm.dead_letters[0].dimensions == tomap({ FunctionName = "inference-test-dead-letters" }) && aws_cloudwatch_metric_alarm.dead_letters[0].evaluation_periods == 1 && aws_cloudwatch_metric_alarm.dead_letters[0].threshold == 0
    error_message = "any message that comes to the dead-letter queue must be seen, at once"
  }

  assert {
    condition = alltrue([for alarm in [aws_cloudwatch_metric_alarm.duration["sentiment"]] :
      alarm.extended_statistic == "p99" && alarm.threshold == 48000 && alarm.metric_name == "Duration" && alarm.dimensions == tomap({ FunctionName = "inference-test-worker-sentiment" })
    ])
    error_message = "the threshold must be 80 % of the worker's timeout, in milliseconds"
  }

  assert {
    condition = alltrue([for alarm in [aws_cloudwatch_metric_alarm.failures["sentiment"]] :
      alarm.threshold == 0.05 && toset([for query in alarm.metric_query : one(query.metric).metric_name if length(query.metric) == 1]) == toset(["Failed", "Succeeded"]) &&
      alltrue([for query in alarm.metric_query : one(query.metric).namespace == "Inference" && one(query.metric).dimensions == tomap({ Environment = "inference-test", Model = "sentiment" }) if length(query.metric) == 1])
    ])
    error_message = "failures must be counted as a share of what ended, by the functions' own metrics"
  }

  assert {
    condition     = one([for query in aws_cloudwatch_metric_alarm.failures["sentiment"].metric_query : query.expression if query.return_data == true]) == "IF(failed + succeeded > 0, failed / (failed + succeeded), 0)"
    error_message = "without requests there is no share"
  }

  assert {
    condition = alltrue([for alarm in [aws_cloudwatch_metric_alarm.sweeper[0]] :
      alarm.treat_missing_data == "breaching" && alarm.comparison_operator == "LessThanThreshold" && alarm.threshold == 1 && alarm.evaluation_periods == 3 &&
      alltrue([for query in alarm.metric_query : one(query.metric).period == 300 && one(query.metric).dimensions == tomap({ FunctionName = "inference-test-sweeper" }) if length(query.metric) == 1])
    ])
    error_message = "a sweeper that does not run has no data, and that must be the alarm"
  }

  assert {
    condition = alltrue([
      for alarm in concat(
        values(aws_cloudwatch_metric_alarm.oldest_message), aws_cloudwatch_metric_alarm.dead_letters_kept, values(aws_cloudwatch_metric_alarm.failures),
        values(aws_cloudwatch_metric_alarm.duration), values(aws_cloudwatch_metric_alarm.throttles), aws_cloudwatch_metric_alarm.dead_letters, aws_cloudwatch_metric_alarm.api_errors,
      ) : alarm.treat_missing_data == "notBreaching" && alarm.alarm_actions == toset([aws_sns_topic.alarms[0].arn]) && alarm.ok_actions == toset([aws_sns_topic.alarms[0].arn])
    ])
    error_message = "an idle stack has no alarm, and each alarm notifies the topic"
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.sweeper[0].alarm_actions == toset([aws_sns_topic.alarms[0].arn])
    error_message = "the sweeper's alarm notifies the topic"
  }

  assert {
    condition     = aws_sns_topic_subscription.email["team@example.com"].protocol == "email" && length(output.alarm_names) == 12 && contains(output.alarm_names, "inference-test-sentiment-oldest-message") && output.topic_arn == aws_sns_topic.alarms[0].arn
    error_message = "the alarms must be told, and reach the addresses"
  }

  assert {
    condition = alltrue([for statement in data.aws_iam_policy_document.topic[0].statement :
      statement.resources == toset(["arn:aws:sns:eu-west-1:123456789012:inference-test-alarms"]) && one(statement.condition).values == tolist(["123456789012"]) && one(statement.principals).identifiers == toset(["cloudwatch.amazonaws.com"])
    ])
    error_message = "only alarms of this account may publish"
  }

  assert {
    condition     = toset([for widget in jsondecode(aws_cloudwatch_dashboard.this[0].dashboard_body).widgets : widget.properties.region]) == toset(["eu-west-1"])
    error_message = "a graph without its region shows another one's"
  }

  assert {
    condition     = length(distinct([for widget in jsondecode(aws_cloudwatch_dashboard.this[0].dashboard_body).widgets : "${widget.x} ${widget.y}"])) == length(local.graphs[0]) && length(local.graphs[0]) == 20
    error_message = "each graph must have a place of its own"
  }

  assert {
    condition     = local.error_metrics == ["FailedModelError", "FailedOutOfMemory"]
    error_message = "the metric of a code is named as the functions name it"
  }

  assert {
    condition     = local.failures_by_code.expression == "SEARCH('{Inference,Environment,Model} Environment=\"inference-test\" (MetricName=\"FailedModelError\" OR MetricName=\"FailedOutOfMemory\")', 'Sum', 300)"
    error_message = "failures must be shown by their code"
  }

  assert {
    condition     = alltrue([for lines in values(local.own_graphs[0]) : length(setsubtract(["sentiment", "trial"], [for line in lines : line[5]])) == 0])
    error_message = "the dashboard shows every worker"
  }
}

run "with_an_authorizer_and_webhooks" {
  variables {
    functions      = { api = "inference-test-api", dead_letters = "inference-test-dead-letters", sweeper = "inference-test-sweeper", batches = "inference-test-batches", authorizer = "inference-test-authorizer", relay = "inference-test-relay", deliverer = "inference-test-deliverer" }
    sync_functions = { sentiment = "inference-test-sync-sentiment" }
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.throttles["sync-sentiment"].dimensions == tomap({ FunctionName = "inference-test-sync-sentiment" }) && contains([for line in local.shared_graphs[0]["Functions: errors"] : line[3]], "inference-test-sync-sentiment")
    error_message = "a synchronous function's throttles and errors must be seen"
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.throttles["authorizer"].dimensions == tomap({ FunctionName = "inference-test-authorizer" }) && contains([for line in local.shared_graphs[0]["Functions: errors"] : line[3]], "inference-test-authorizer")
    error_message = "the authorizer's throttles and errors must be seen"
  }

  assert {
    condition     = alltrue([for role in ["relay", "deliverer"] : aws_cloudwatch_metric_alarm.throttles[role].dimensions == tomap({ FunctionName = "inference-test-${role}" }) && contains([for line in local.shared_graphs[0]["Functions: errors"] : line[3]], "inference-test-${role}")])
    error_message = "throttles and errors of relay and deliverer must be seen"
  }
}

run "two_hundred_workers" {
  command = plan

  variables {
    alarms                    = false
    webhook_dead_letter_queue = "inference-test-webhooks-dlq"
    workers                   = { for number in range(200) : format("m%03d", number) => { queue = "q-${number}", function = "f-${number}", timeout_seconds = 60, alarms = true } }
    sync_functions            = { for number in range(93) : "m${number}" => "s-${number}" }
  }

  assert {
    condition     = [for dashboard in aws_cloudwatch_dashboard.this : dashboard.dashboard_name] == ["inference-test", "inference-test-2"] && output.dashboard_name == "inference-test"
    error_message = "a hundred workers are on each dashboard"
  }

  assert {
    condition     = alltrue([for graphs in local.graphs : sum([for graph in graphs : length(graph.lines)]) <= 2500 && max([for graph in graphs : length(graph.lines)]...) <= 500])
    error_message = "CloudWatch takes 2,500 metrics on a dashboard, and 500 in a graph"
  }

  assert {
    condition     = length(setintersection(flatten([for graph in local.graphs[1] : graph.title]), ["API: calls", "API: latency (ms)", "Dead-letter queue: messages", "Requests: failed, by code"])) == 0
    error_message = "what is of the whole stack is on the first dashboard alone"
  }

  assert {
    condition     = toset(concat([for dashboard in local.own_graphs : [for line in dashboard["Requests: succeeded"] : line[5]]]...)) == toset(keys(var.workers))
    error_message = "each worker is on one of them"
  }
}

run "nothing" {
  variables {
    dashboard = false
    alarms    = false
  }

  assert {
    condition     = length(output.alarm_names) == 0 && length(aws_sns_topic.alarms) == 0 && length(aws_cloudwatch_dashboard.this) == 0 && output.topic_arn == null && output.dashboard_name == null
    error_message = "what is off must cost nothing"
  }
}

run "without_the_functions_metrics" {
  variables {
    metrics = false
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.failures) == 0 && length(aws_cloudwatch_metric_alarm.duration) == 1 && length(local.own_graphs[0]) == 0 && length(local.graphs[0]) == 9
    error_message = "only what needs no metric of the functions remains"
  }
}

run "a_sweep_each_hour" {
  variables {
    sweeper_schedule = "rate(1 hour)"
  }

  assert {
    condition     = one(distinct([for query in aws_cloudwatch_metric_alarm.sweeper[0].metric_query : one(query.metric).period if length(query.metric) == 1])) == 3600
    error_message = "the period must be the schedule's"
  }
}

run "a_sweep_each_minute" {
  variables {
    sweeper_schedule = "rate(1 minute)"
  }

  assert {
    condition     = one(distinct([for query in aws_cloudwatch_metric_alarm.sweeper[0].metric_query : one(query.metric).period if length(query.metric) == 1])) == 300
    error_message = "Lambda's metrics may be late by minutes"
  }
}

run "a_sweep_by_the_clock" {
  variables {
    sweeper_schedule = "cron(0 3 * * ? *)"
  }

  assert {
    condition     = one(distinct([for query in aws_cloudwatch_metric_alarm.sweeper[0].metric_query : one(query.metric).period if length(query.metric) == 1])) == 86400
    error_message = "of a cron expression once a day is assumed"
  }
}

run "a_sweep_each_week" {
  variables {
    sweeper_schedule = "rate(7 days)"
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.sweeper) == 0
    error_message = "CloudWatch has no period for it"
  }
}

run "with_a_key" {
  variables {
    kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/1"
  }

  assert {
    condition     = aws_sns_topic.alarms[0].kms_master_key_id == var.kms_key_arn
    error_message = "the key must encrypt the topic"
  }
}
