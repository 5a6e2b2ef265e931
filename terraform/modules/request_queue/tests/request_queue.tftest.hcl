mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name                   = "inference-test-sentiment"
  worker_timeout_seconds = 60
  batch_window_seconds   = 5
  dead_letter_queue_arn  = "arn:aws:sqs:eu-west-1:123456789012:inference-test-dlq"
  max_receive_count      = 8
  retention_seconds      = 345600
  sender_rule_arns       = []
  tls_only               = true
  kms_key_arn            = null
}

run "queues" {
  assert {
    condition     = aws_sqs_queue.this.visibility_timeout_seconds == 365
    error_message = "AWS asks for six times the worker's timeout plus the batching window: 6 x 60 + 5"
  }

  assert {
    condition     = jsondecode(aws_sqs_queue.this.redrive_policy) == { deadLetterTargetArn = var.dead_letter_queue_arn, maxReceiveCount = 8 }
    error_message = "a message that was received eight times goes to the dead-letter queue"
  }

  assert {
    condition     = aws_sqs_queue.this.sqs_managed_sse_enabled
    error_message = "the queue must be encrypted"
  }

  assert {
    condition     = aws_sqs_queue.this.max_message_size == 262144
    error_message = "the largest message is what the provider and AWS both allow"
  }

  assert {
    condition     = data.aws_iam_policy_document.this[0].statement[0].effect == "Deny" && data.aws_iam_policy_document.this[0].statement[0].resources == toset(["arn:aws:sqs:eu-west-1:123456789012:inference-test-sentiment"]) && one(data.aws_iam_policy_document.this[0].statement[0].condition).variable == "aws:SecureTransport"
    error_message = "the queue must reject what does not come by TLS"
  }

  assert {
    condition     = aws_sqs_queue.this.policy != null
    error_message = "the TLS-only policy must be on the queue"
  }
}

run "without_tls" {
  variables {
    tls_only = false
  }

  assert {
    condition     = length(data.aws_iam_policy_document.this) == 0
    error_message = "tls_only = false takes the policy away"
  }
}

run "with_a_key" {
  variables {
    kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/1"
  }

  assert {
    condition     = aws_sqs_queue.this.kms_master_key_id == var.kms_key_arn
    error_message = "the key must encrypt the messages"
  }
}

run "fed_by_a_rule" {
  variables {
    sender_rule_arns = ["arn:aws:events:eu-west-1:123456789012:rule/inference-test-trigger-uploads"]
    tls_only         = false
  }

  assert {
    condition     = one(data.aws_iam_policy_document.this[0].statement).actions == toset(["sqs:SendMessage"]) && one(one(data.aws_iam_policy_document.this[0].statement).principals).identifiers == toset(["events.amazonaws.com"]) && one(one(data.aws_iam_policy_document.this[0].statement).condition).values[0] == var.sender_rule_arns[0] && one(one(data.aws_iam_policy_document.this[0].statement).condition).variable == "aws:SourceArn"
    error_message = "this rule alone may send"
  }
}
