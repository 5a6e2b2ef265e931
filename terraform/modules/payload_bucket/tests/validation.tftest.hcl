# One run with everything valid, then runs that break each validation once. A run breaks several variables, since each
# run costs a second: it passes only if every variable in expect_failures fails, and nothing else does.

mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name           = "inference-test-payloads-123456789012-eu-west-1"
  retention_days = 9
  versions_days  = null
  events         = false
  cdn            = null
  cors_origins   = []
  force_destroy  = false
  tls_only       = true
  kms_key_arn    = null
}

run "valid" {
  command = plan

  assert {
    condition     = aws_s3_bucket.this.bucket == var.name
    error_message = "the bucket takes the name"
  }
}

run "invalid_1" {
  command         = plan
  expect_failures = [var.name, var.retention_days]

  variables {
    # name with a dot
    name = "a.b"
    # no time at all
    retention_days = 0
  }
}

run "invalid_2" {
  command         = plan
  expect_failures = [var.retention_days, var.versions_days]

  variables {
    # no time at all
    versions_days = 0
    # a part of a day
    retention_days = 1.5
  }
}
