mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name = "inference-test"
  triggers = {
    uploads = {
      bucket     = "photos"
      prefix     = "in/"
      suffix     = ".png"
      models     = ["thumbnail", "digits"]
      caller     = "anonymous"
      input_json = "{\"thumbnail\":{\"size\":64}}"
      results    = { bucket = "published", prefix = "out/" }
    }
    scans = { bucket = "scans", prefix = "a*b/", suffix = "", models = ["digits"], caller = "key:scanner", input_json = "{}" }
  }
  table                = { arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/inference-test-requests", name = "inference-test-requests", stream_arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/inference-test-requests/stream/2026-11-26T00:00:00.000" }
  payloads             = { arn = "arn:aws:s3:::inference-test-payloads", name = "inference-test-payloads" }
  models               = { models_json = "{\"thumbnail\":\"thumbnail\",\"digits\":\"digits\"}", pools_json = "{}", default_model = "digits", memory_mb_json = "{}", queue_url_prefix = "https://sqs.eu-west-1.amazonaws.com/123456789012/inference-test-" }
  model_queue_arns     = ["arn:aws:sqs:eu-west-1:123456789012:inference-test-thumbnail", "arn:aws:sqs:eu-west-1:123456789012:inference-test-digits"]
  limits               = { max_attempts = 5, deadline_seconds = 86400, retention_seconds = 604800 }
  webhooks_json        = null
  maximum_concurrency  = 10
  package              = { path = "main.tf", runtime = "python3.13" }
  architecture         = "x86_64"
  memory_mb            = 512
  ephemeral_storage_mb = 512
  log_level            = "INFO"
  log_retention_days   = 30
  metrics_environment  = null
  tracing              = false
  tls_only             = true
  kms_key_arn          = null
  vpc                  = null
}

run "two_triggers" {
  assert {
    condition     = jsonencode(jsondecode(aws_cloudwatch_event_rule.object_created["uploads"].event_pattern).detail) == jsonencode({ bucket = { name = ["photos"] }, object = { key = [{ wildcard = "in/*.png" }] } })
    error_message = "prefix and suffix are one pattern: in a list either would do"
  }

  assert {
    condition     = jsonencode(jsondecode(aws_cloudwatch_event_rule.object_created["scans"].event_pattern).detail.object.key) == jsonencode([{ prefix = "a*b/" }])
    error_message = "without a suffix the prefix is taken as it is"
  }

  assert {
    condition     = alltrue([for target in aws_cloudwatch_event_target.queue : target.arn == module.queue.arn])
    error_message = "every rule must send to the intake's queue"
  }

  assert {
    condition     = aws_lambda_event_source_mapping.intake.function_response_types == toset(["ReportBatchItemFailures"]) && endswith(aws_lambda_event_source_mapping.intake.function_name, ":live")
    error_message = "one bad event must not repeat those beside it, and the mapping must invoke the alias"
  }

  assert {
    condition     = jsonencode(jsondecode(module.intake.environment.TRIGGERS)) == jsonencode({ scans = { bucket = "scans", caller = "key:scanner", input = {}, models = ["digits"], prefix = "a*b/", suffix = "" }, uploads = { bucket = "photos", caller = "anonymous", input = { thumbnail = { size = 64 } }, models = ["thumbnail", "digits"], prefix = "in/", results = { bucket = "published", prefix = "out/" }, suffix = ".png" } })
    error_message = "the intake must know the triggers"
  }

  assert {
    condition     = one(one(aws_lambda_event_source_mapping.results).filter_criteria[0].filter).pattern == jsonencode({ eventName = ["MODIFY"], dynamodb = { NewImage = { status = { S = ["succeeded", "failed", "cancelled", "expired"] }, results_of = { S = ["uploads"] } } } })
    error_message = "only final requests whose results are wanted may start the results function"
  }

  assert {
    condition     = one(one(one(aws_lambda_event_source_mapping.results).destination_config).on_failure).destination_arn == module.dead_letter_queue.arn && one(aws_lambda_event_source_mapping.results).maximum_record_age_in_seconds < 86400
    error_message = "what is given up must be seen, and before the stream forgets what comes after it"
  }

  assert {
    condition     = data.aws_iam_policy_document.results_objects[0].statement[1].resources == toset(["arn:aws:s3:::published/out/*"]) && data.aws_iam_policy_document.results_objects[0].statement[0].resources == toset(["arn:aws:s3:::inference-test-payloads/requests/*/attempt-*"])
    error_message = "the results function may write below its prefix alone"
  }

  assert {
    condition     = jsonencode(output.function_names) == jsonencode({ intake = "inference-test-intake", results = "inference-test-results" }) && output.dead_letter_queue_name == "inference-test-intake-dlq" && length(output.dead_letter_queue_url) > 0 && length(output.queue_url) > 0
    error_message = "what belongs to triggers must be told"
  }
}

run "without_results" {
  variables {
    triggers      = { scans = { bucket = "scans", prefix = "", suffix = ".*", models = ["digits"], caller = "anonymous", input_json = "{}" } }
    webhooks_json = "{\"default_url\":null,\"allow_loopback\":false}"
  }

  assert {
    condition     = length(aws_lambda_event_source_mapping.results) == 0 && length(module.results) == 0 && !contains(keys(output.function_names), "results")
    error_message = "without results nothing reads the stream"
  }

  assert {
    condition     = jsonencode(jsondecode(aws_cloudwatch_event_rule.object_created["scans"].event_pattern).detail.object.key) == jsonencode([{ wildcard = "*.\\*" }]) && module.intake.environment.WEBHOOKS == var.webhooks_json
    error_message = "a star in a suffix is no wildcard, and the intake must know the default webhook"
  }
}
