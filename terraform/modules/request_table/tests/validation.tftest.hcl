# One run with everything valid, then runs that break each validation once. A run breaks several variables, since each
# run costs a second: it passes only if every variable in expect_failures fails, and nothing else does.

mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name        = "inference-test-requests"
  kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/0b1c2d3e"
}

run "valid" {
  command = plan

  assert {
    condition     = one(aws_dynamodb_table.this.server_side_encryption).kms_key_arn == var.kms_key_arn
    error_message = "the key that is given encrypts the table"
  }
}

run "invalid_1" {
  command         = plan
  expect_failures = [var.name, var.kms_key_arn]

  variables {
    # name too short
    name = "ab"
    # key by alias
    kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:alias/mine"
  }
}
