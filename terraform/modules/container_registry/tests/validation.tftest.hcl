# One run with everything valid, then runs that break each validation once. A run breaks several variables, since each
# run costs a second: it passes only if every variable in expect_failures fails, and nothing else does.

mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name          = "inference-test-worker"
  function_arns = ["arn:aws:lambda:eu-west-1:123456789012:function:inference-test-worker-*"]
  force_delete  = false
  kms_key_arn   = null
}

run "valid" {
  command = plan

  assert {
    condition     = aws_ecr_repository.this.name == "inference-test-worker"
    error_message = "the repository takes the name"
  }
}

run "invalid_1" {
  command         = plan
  expect_failures = [var.name, var.function_arns]

  variables {
    # name with capitals
    name = "Worker"
    # functions by name
    function_arns = ["inference-test-worker-*"]
  }
}
