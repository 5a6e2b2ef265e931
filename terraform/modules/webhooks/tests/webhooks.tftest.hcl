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

run "least" {
  assert {
    condition = toset([for filter in one(aws_lambda_event_source_mapping.relay.filter_criteria).filter : filter.pattern]) == toset([
      jsonencode({ eventName = ["MODIFY"], dynamodb = { NewImage = { status = { S = ["succeeded", "failed", "cancelled", "expired"] }, webhook_state = { S = ["waiting"] } } } }),
      jsonencode({ eventName = ["MODIFY"], dynamodb = { NewImage = { status = { S = ["succeeded", "failed", "cancelled", "expired"] }, webhook_of = { S = ["batch"] } } } }),
      jsonencode({ eventName = ["MODIFY"], dynamodb = { Keys = { request_id = { S = [{ prefix = "batch/" }] } }, NewImage = { webhook_state = { S = ["waiting"] } } } }),
    ])
    error_message = "only a final request that waits for its webhook, a final item of a batch with one, and such a batch may start the relay"
  }

  assert {
    condition     = one(data.aws_iam_policy_document.relay_table.statement).actions == toset(["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:UpdateItem"]) && one(data.aws_iam_policy_document.relay_table.statement).resources == toset([var.table.arn])
    error_message = "the relay may see whether a batch is final, and say so"
  }

  assert {
    condition     = aws_lambda_event_source_mapping.relay.starting_position == "TRIM_HORIZON" && aws_lambda_event_source_mapping.relay.function_response_types == toset(["ReportBatchItemFailures"])
    error_message = "no record of the stream may be skipped"
  }

  assert {
    condition     = endswith(aws_lambda_event_source_mapping.relay.function_name, ":live") && endswith(aws_lambda_event_source_mapping.deliverer.function_name, ":live")
    error_message = "the mappings must invoke the aliases"
  }

  assert {
    condition     = aws_lambda_event_source_mapping.deliverer.function_response_types == toset(["ReportBatchItemFailures"]) && one(aws_lambda_event_source_mapping.deliverer.scaling_config).maximum_concurrency == 10
    error_message = "one webhook must not repeat those beside it"
  }

  assert {
    condition     = data.aws_iam_policy_document.relay_stream.statement[0].resources == toset(["arn:aws:dynamodb:eu-west-1:123456789012:table/inference-test-requests/stream/*"]) && data.aws_iam_policy_document.relay_queue.statement[0].resources == toset(["arn:aws:sqs:eu-west-1:123456789012:inference-test-webhooks"])
    error_message = "the relay may read the table's stream and send to the queue, and nothing else"
  }

  assert {
    condition     = data.aws_iam_policy_document.deliverer_queue.statement[1].resources == toset(["arn:aws:sqs:eu-west-1:123456789012:inference-test-webhooks-dlq"]) && data.aws_iam_policy_document.deliverer_table.statement[0].resources == toset([var.table.arn])
    error_message = "the deliverer may use its own queues and the table"
  }

  assert {
    condition     = length(data.aws_iam_policy_document.deliverer_secret.statement) == 1 && data.aws_iam_policy_document.deliverer_secret.statement[0].actions == toset(["secretsmanager:GetSecretValue"]) && data.aws_iam_policy_document.deliverer_secret.statement[0].resources == toset([var.secret_arn])
    error_message = "the deliverer may read its own secret alone"
  }

  assert {
    condition     = output.queue_url == "https://sqs.eu-west-1.amazonaws.com/123456789012/inference-test-webhooks" && jsondecode(output.options_json) == { default_url = null, allow_loopback = false }
    error_message = "what the other functions need must be told"
  }
}

run "parameter_with_a_key" {
  variables {
    secret_arn         = "arn:aws:ssm:eu-west-1:123456789012:parameter/hooks/secret"
    secret_kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/1"
    default_url        = "https://example.com/hook"
  }

  assert {
    condition     = data.aws_iam_policy_document.deliverer_secret.statement[0].actions == toset(["ssm:GetParameter"]) && data.aws_iam_policy_document.deliverer_secret.statement[1].resources == toset([var.secret_kms_key_arn]) && one(data.aws_iam_policy_document.deliverer_secret.statement[1].condition).values == tolist(["ssm.eu-west-1.amazonaws.com"])
    error_message = "a parameter is read from SSM, and its key used by way of SSM alone"
  }

  assert {
    condition     = jsondecode(output.options_json).default_url == "https://example.com/hook"
    error_message = "the default must reach the functions"
  }
}
