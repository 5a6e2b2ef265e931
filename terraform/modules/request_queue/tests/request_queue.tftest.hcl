mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name                         = "inference-test-sentiment"
  worker_timeout_seconds       = 60
  batch_window_seconds         = 5
  dlq_consumer_timeout_seconds = 20
  max_receive_count            = 8
  retention_seconds            = 345600
  tls_only                     = true
}

run "queues" {
  assert {
    condition     = aws_sqs_queue.this.visibility_timeout_seconds == 365
    error_message = "AWS asks for six times the worker's timeout plus the batching window: 6 x 60 + 5"
  }

  assert {
    condition     = aws_sqs_queue.dlq.visibility_timeout_seconds == 120
    error_message = "the dead-letter queue has a consumer too: 6 x 20"
  }

  assert {
    condition     = jsondecode(aws_sqs_queue.this.redrive_policy) == { deadLetterTargetArn = aws_sqs_queue.dlq.arn, maxReceiveCount = 8 }
    error_message = "a message that was received eight times goes to this queue's dead-letter queue"
  }

  assert {
    condition = jsondecode(aws_sqs_queue.dlq.redrive_allow_policy) == {
      redrivePermission = "byQueue"
      sourceQueueArns   = ["arn:aws:sqs:eu-west-1:123456789012:inference-test-sentiment"]
    }
    error_message = "only this request queue may use the dead-letter queue"
  }

  assert {
    condition     = aws_sqs_queue.dlq.message_retention_seconds == 1209600 && aws_sqs_queue.dlq.message_retention_seconds >= aws_sqs_queue.this.message_retention_seconds
    error_message = "a dead message keeps its age, so its queue must keep messages at least as long"
  }

  assert {
    condition     = aws_sqs_queue.this.sqs_managed_sse_enabled && aws_sqs_queue.dlq.sqs_managed_sse_enabled
    error_message = "both queues must be encrypted"
  }

  assert {
    condition     = aws_sqs_queue.this.max_message_size == 262144
    error_message = "the largest message is what the provider and AWS both allow"
  }

  assert {
    condition = alltrue([
      for key, arn in { this = "arn:aws:sqs:eu-west-1:123456789012:inference-test-sentiment", dlq = "arn:aws:sqs:eu-west-1:123456789012:inference-test-sentiment-dlq" } :
      data.aws_iam_policy_document.tls_only[key].statement[0].effect == "Deny"
      && data.aws_iam_policy_document.tls_only[key].statement[0].resources == toset([arn])
      && one(data.aws_iam_policy_document.tls_only[key].statement[0].condition).variable == "aws:SecureTransport"
    ])
    error_message = "each queue must reject what does not come by TLS"
  }

  assert {
    condition     = aws_sqs_queue.this.policy != null && aws_sqs_queue.dlq.policy != null
    error_message = "the TLS-only policy must be on both queues"
  }
}

run "without_tls" {
  variables {
    tls_only = false
  }

  assert {
    condition     = length(data.aws_iam_policy_document.tls_only) == 0
    error_message = "tls_only = false takes the policies away"
  }
}
