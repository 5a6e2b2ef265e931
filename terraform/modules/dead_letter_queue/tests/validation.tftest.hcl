# One run with everything valid, then runs that break each validation once.

mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name                     = "inference-test-dlq"
  source_names             = ["inference-test-sentiment"]
  consumer_timeout_seconds = 30
  tls_only                 = true
  kms_key_arn              = null
}

run "valid" {
  command = plan

  assert {
    condition     = aws_sqs_queue.this.name == "inference-test-dlq"
    error_message = "the queue takes the name that it is given"
  }
}

run "invalid" {
  command         = plan
  expect_failures = [var.source_names, var.consumer_timeout_seconds]

  variables {
    # no source
    source_names = []
    # timeout too long
    consumer_timeout_seconds = 901
  }
}

# A wrong name is alone: another message names the queue, so Terraform comes to it only where it is right.
run "name_of_a_request_queue" {
  command         = plan
  expect_failures = [var.name]

  variables {
    name = "inference-test-sentiment"
  }
}
