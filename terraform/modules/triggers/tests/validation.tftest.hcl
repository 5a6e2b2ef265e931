# One run with everything valid, then runs that break each validation once: each passes only if every variable in expect_failures fails,
# and nothing else does.

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

run "valid" {
  command = plan

  assert {
    condition     = length(aws_cloudwatch_event_rule.object_created) == 2
    error_message = "a rule for each trigger"
  }
}

run "invalid_1" {
  command         = plan
  expect_failures = [var.name, var.triggers, var.maximum_concurrency]

  variables {
    # a capital letter
    name = "Inference"
    # none
    triggers = {}
    # below what Lambda accepts
    maximum_concurrency = 1
  }
}

run "invalid_2" {
  command         = plan
  expect_failures = [var.triggers]

  variables {
    # an underscore
    triggers = { my_scans = { bucket = "scans", prefix = "", suffix = "", models = ["digits"], caller = "anonymous", input_json = "{}" } }
  }
}
