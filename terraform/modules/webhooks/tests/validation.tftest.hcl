# One run with everything valid, then runs that break each validation once. A run breaks several variables, since each
# run costs a second: it passes only if every variable in expect_failures fails, and nothing else does.

mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name = "inference-test"
  table = {
    arn        = "arn:aws:dynamodb:eu-west-1:123456789012:table/inference-test-requests"
    name       = "inference-test-requests"
    stream_arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/inference-test-requests/stream/2026-11-26T00:00:00.000"
  }
  payloads             = { arn = "arn:aws:s3:::inference-test-payloads", name = "inference-test-payloads" }
  link_seconds         = 900
  secret_arn           = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:hooks-AbCdEf"
  secret_kms_key_arn   = null
  default_url          = null
  allow_loopback       = false
  package              = { path = "main.tf", runtime = "python3.13" }
  architecture         = "x86_64"
  memory_mb            = 256
  ephemeral_storage_mb = 512
  maximum_concurrency  = 10
  pools_json           = "{}"
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
    condition     = output.dead_letter_queue_name == "inference-test-webhooks-dlq"
    error_message = "the queues take the name"
  }
}

run "valid_on_loopback" {
  command = plan

  variables {
    allow_loopback = true
    default_url    = "http://127.0.0.1:8000/hook"
  }

  assert {
    condition     = jsondecode(output.options_json).allow_loopback
    error_message = "an emulator's receiver is on this machine"
  }
}

run "invalid_1" {
  command         = plan
  expect_failures = [var.name, var.secret_arn, var.secret_kms_key_arn, var.default_url, var.maximum_concurrency]

  variables {
    # a capital letter
    name = "Inference"
    # a secret, and not its ARN
    secret_arn = "whsec_MTIz"
    # a key's alias
    secret_kms_key_arn = "alias/hooks"
    # without TLS, and not on this machine
    default_url = "http://example.com/hook"
    # below what Lambda accepts
    maximum_concurrency = 1
  }
}
