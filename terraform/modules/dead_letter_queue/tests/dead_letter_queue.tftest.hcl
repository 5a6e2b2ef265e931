mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name                     = "inference-test-dlq"
  source_names             = ["inference-test-sentiment", "inference-test-experiments"]
  consumer_timeout_seconds = 20
  tls_only                 = true
  kms_key_arn              = null
}

run "queue" {
  assert {
    condition     = aws_sqs_queue.this.visibility_timeout_seconds == 120
    error_message = "AWS asks for six times the consumer's timeout: 6 x 20"
  }

  assert {
    condition = jsondecode(aws_sqs_queue.this.redrive_allow_policy) == {
      redrivePermission = "byQueue"
      sourceQueueArns   = ["arn:aws:sqs:eu-west-1:123456789012:inference-test-experiments", "arn:aws:sqs:eu-west-1:123456789012:inference-test-sentiment"]
    }
    error_message = "only the request queues may use the dead-letter queue"
  }

  assert {
    condition     = aws_sqs_queue.this.message_retention_seconds == 1209600
    error_message = "a dead message keeps its age, so the queue must keep messages as long as SQS can"
  }

  assert {
    condition     = aws_sqs_queue.this.sqs_managed_sse_enabled && aws_sqs_queue.this.max_message_size == 262144
    error_message = "the queue must be encrypted and take what a request queue takes"
  }

  assert {
    condition     = data.aws_iam_policy_document.tls_only[0].statement[0].effect == "Deny" && data.aws_iam_policy_document.tls_only[0].statement[0].resources == toset(["arn:aws:sqs:eu-west-1:123456789012:inference-test-dlq"]) && one(data.aws_iam_policy_document.tls_only[0].statement[0].condition).variable == "aws:SecureTransport" && aws_sqs_queue.this.policy != null
    error_message = "the queue must reject what does not come by TLS"
  }
}

run "without_tls" {
  variables {
    tls_only = false
  }

  assert {
    condition     = length(data.aws_iam_policy_document.tls_only) == 0
    error_message = "tls_only = false takes the policy away"
  }
}

run "ten_sources" {
  variables {
    source_names = ["q0", "q1", "q2", "q3", "q4", "q5", "q6", "q7", "q8", "q9"]
  }

  assert {
    condition     = length(jsondecode(aws_sqs_queue.this.redrive_allow_policy).sourceQueueArns) == 10
    error_message = "SQS takes ten sources by name"
  }
}

run "eleven_sources" {
  variables {
    source_names = ["q0", "q1", "q2", "q3", "q4", "q5", "q6", "q7", "q8", "q9", "q10"]
  }

  assert {
    condition     = jsondecode(aws_sqs_queue.this.redrive_allow_policy) == { redrivePermission = "allowAll" }
    error_message = "SQS takes no eleventh source by name"
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
