mock_provider "aws" {
  source          = "../mocks"
  override_during = plan
}

run "valid" {
  command = plan

  assert {
    condition     = aws_s3_bucket.state.bucket != ""
    error_message = "The defaults must be valid."
  }
}

run "bucket_with_capitals" {
  command = plan

  variables {
    bucket = "Our-States"
  }

  expect_failures = [var.bucket]
}

run "no_days" {
  command = plan

  variables {
    former_version_days = 0
  }

  expect_failures = [var.former_version_days]
}

run "alias" {
  command = plan

  variables {
    kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:alias/states"
  }

  expect_failures = [var.kms_key_arn]
}
