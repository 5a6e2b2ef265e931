mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name                = "inference-test-api-keys"
  deletion_protection = true
  kms_key_arn         = null
}

run "table" {
  assert {
    condition     = aws_dynamodb_table.this.billing_mode == "PAY_PER_REQUEST" && aws_dynamodb_table.this.hash_key == "key_hash"
    error_message = "the table must cost nothing while nobody calls, and find a key by its hash"
  }

  assert {
    condition     = one(aws_dynamodb_table.this.point_in_time_recovery).enabled && one(aws_dynamodb_table.this.server_side_encryption).enabled
    error_message = "the table must be encrypted, and recoverable to a point in time"
  }

  assert {
    condition     = aws_dynamodb_table.this.deletion_protection_enabled
    error_message = "deletion protection must be on unless it is said otherwise"
  }
}

run "with_a_key" {
  variables {
    kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/1"
  }

  assert {
    condition     = one(aws_dynamodb_table.this.server_side_encryption).kms_key_arn == var.kms_key_arn
    error_message = "the KMS key must encrypt the table"
  }
}
