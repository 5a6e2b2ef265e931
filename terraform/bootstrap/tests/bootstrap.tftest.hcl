# The bucket as a plan shows it.

mock_provider "aws" {
  source          = "../mocks"
  override_during = plan
}

run "default" {
  command = plan

  assert {
    condition     = aws_s3_bucket.state.bucket == "inference-terraform-123456789012-eu-west-1"
    error_message = "The default name must contain the account and the region."
  }

  assert {
    condition     = aws_s3_bucket_versioning.state.versioning_configuration[0].status == "Enabled"
    error_message = "Without versions a damaged state can't be restored."
  }

  assert {
    condition     = alltrue([for rule in aws_s3_bucket_server_side_encryption_configuration.state.rule : rule.apply_server_side_encryption_by_default[0].sse_algorithm == "AES256"])
    error_message = "The bucket must be encrypted."
  }

  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.state.block_public_acls,
      aws_s3_bucket_public_access_block.state.block_public_policy,
      aws_s3_bucket_public_access_block.state.ignore_public_acls,
      aws_s3_bucket_public_access_block.state.restrict_public_buckets,
    ])
    error_message = "All public access must be blocked."
  }

  assert {
    condition     = one(data.aws_iam_policy_document.tls_only.statement).effect == "Deny" && one(one(data.aws_iam_policy_document.tls_only.statement).condition).variable == "aws:SecureTransport"
    error_message = "Calls without TLS must be denied."
  }

  assert {
    condition     = toset(one(data.aws_iam_policy_document.tls_only.statement).resources) == toset(["arn:aws:s3:::inference-terraform-123456789012-eu-west-1", "arn:aws:s3:::inference-terraform-123456789012-eu-west-1/*"])
    error_message = "The policy must be for the bucket and everything in it."
  }
}

run "own_name" {
  command = plan

  variables {
    bucket = "our-terraform-states"
  }

  assert {
    condition     = aws_s3_bucket.state.bucket == "our-terraform-states"
    error_message = "The bucket must have the given name."
  }
}

run "with_a_key" {
  command = plan

  variables {
    kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/1"
  }

  assert {
    condition = alltrue([for rule in aws_s3_bucket_server_side_encryption_configuration.state.rule :
      rule.apply_server_side_encryption_by_default[0].sse_algorithm == "aws:kms" && rule.apply_server_side_encryption_by_default[0].kms_master_key_id == var.kms_key_arn
    ])
    error_message = "The key must encrypt the states."
  }

  assert {
    condition     = output.kms_key_arn == var.kms_key_arn
    error_message = "backend.hcl must be able to name the key."
  }
}
