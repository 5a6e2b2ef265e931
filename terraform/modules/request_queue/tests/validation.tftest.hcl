# One run with everything valid, then runs that break each validation once. A run breaks several variables, since each
# run costs a second: it passes only if every variable in expect_failures fails, and nothing else does.

mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name                   = "inference-test-sentiment"
  worker_timeout_seconds = 60
  batch_window_seconds   = 0
  dead_letter_queue_arn  = "arn:aws:sqs:eu-west-1:123456789012:inference-test-dlq"
  max_receive_count      = 8
  retention_seconds      = 345600
  sender_rule_arns       = []
  tls_only               = true
  kms_key_arn            = null
}

run "valid" {
  command = plan

  assert {
    condition     = aws_sqs_queue.this.name == "inference-test-sentiment"
    error_message = "the queue takes the name that it is given"
  }
}

run "invalid_1" {
  command = plan
  expect_failures = [
    var.worker_timeout_seconds,
    var.batch_window_seconds,
    var.dead_letter_queue_arn,
    var.max_receive_count,
    var.retention_seconds,
  ]

  variables {
    # worker timeout of zero
    worker_timeout_seconds = 0
    # batch window too long
    batch_window_seconds = 301
    # dead-letter queue by name
    dead_letter_queue_arn = "inference-test-dlq"
    # too few receives
    max_receive_count = 4
    # retention too short
    retention_seconds = 59
  }
}

run "invalid_2" {
  command         = plan
  expect_failures = [var.worker_timeout_seconds, var.max_receive_count, var.retention_seconds]

  variables {
    # worker timeout too long
    worker_timeout_seconds = 901
    # too many receives
    max_receive_count = 1001
    # retention longer than the dlqs
    retention_seconds = 1209601
  }
}

# A wrong name is alone: the other messages name the queue, so Terraform comes to them only where it is right.
run "name_with_a_dot" {
  command         = plan
  expect_failures = [var.name]

  variables {
    name = "inference.fifo"
  }
}

run "name_of_a_dlq" {
  command         = plan
  expect_failures = [var.name]

  variables {
    name = "inference-dlq"
  }
}
