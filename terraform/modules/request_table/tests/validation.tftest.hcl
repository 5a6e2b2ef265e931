# One run with everything valid, then runs that break each validation once. A run breaks several variables, since each
# run costs a second: it passes only if every variable in expect_failures fails, and nothing else does.

mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name                = "inference-test-requests"
  list_by_caller      = true
  deletion_protection = true
  stream              = false
  kms_key_arn         = null
}

run "valid" {
  command = plan

  assert {
    condition     = aws_dynamodb_table.this.name == "inference-test-requests"
    error_message = "the table takes the name"
  }
}

run "invalid_1" {
  command         = plan
  expect_failures = [var.name]

  variables {
    # name too short
    name = "ab"
  }
}
