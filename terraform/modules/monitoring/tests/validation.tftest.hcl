# One run with everything valid, then runs that break each validation once. It passes only if every variable in
# expect_failures fails, and nothing else does.

mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name                      = "inference-test"
  dashboard                 = false
  alarms                    = true
  emails                    = []
  workers                   = {}
  dead_letter_queue         = "dlq"
  webhook_dead_letter_queue = null
  intake_dead_letter_queue  = null
  functions                 = { api = "api", dead_letters = "dead-letters", sweeper = "sweeper", batches = "batches" }
  sync_functions            = {}
  api_id                    = "mockapi"
  metrics                   = true
  error_codes               = ["model_error"]
  sweeper_schedule          = "rate(5 minutes)"
  oldest_message_seconds    = 900
  failed_share              = 0.05
  kms_key_arn               = null
}

run "valid" {
  command = plan

  assert {
    condition     = length(aws_sns_topic_subscription.email) == 0
    error_message = "nobody is asked for nothing"
  }
}

run "invalid" {
  command = plan
  expect_failures = [
    var.name,
    var.emails,
    var.error_codes,
    var.oldest_message_seconds,
    var.failed_share,
  ]

  variables {
    # name with capitals
    name = "Inference"
    # no address
    emails = ["team"]
    # code in capitals
    error_codes = ["ModelError"]
    # younger than SQS can tell
    oldest_message_seconds = 59
    # percent for a share
    failed_share = 5
  }
}

run "emails_without_alarms" {
  command         = plan
  expect_failures = [var.emails]

  variables {
    alarms = false
    emails = ["team@example.com"]
  }
}
