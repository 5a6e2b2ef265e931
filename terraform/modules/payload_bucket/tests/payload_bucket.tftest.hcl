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

run "bucket" {
  assert {
    condition     = aws_s3_bucket.this.bucket == var.name && !aws_s3_bucket.this.force_destroy
    error_message = "the bucket must have its name, and keep its objects unless it is said otherwise"
  }

  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.this.block_public_acls,
      aws_s3_bucket_public_access_block.this.block_public_policy,
      aws_s3_bucket_public_access_block.this.ignore_public_acls,
      aws_s3_bucket_public_access_block.this.restrict_public_buckets,
    ])
    error_message = "nothing in it may be public"
  }

  assert {
    condition     = one(aws_s3_bucket_ownership_controls.this.rule).object_ownership == "BucketOwnerEnforced"
    error_message = "access control lists must be off"
  }

  assert {
    condition     = alltrue([for rule in aws_s3_bucket_server_side_encryption_configuration.this.rule : rule.apply_server_side_encryption_by_default[0].sse_algorithm == "AES256"])
    error_message = "objects must be encrypted by S3's own key"
  }

  assert {
    condition     = one(aws_s3_bucket_lifecycle_configuration.this.rule).expiration[0].days == 9 && one(aws_s3_bucket_lifecycle_configuration.this.rule).status == "Enabled"
    error_message = "objects must be deleted after the retention"
  }

  assert {
    condition     = length(aws_s3_bucket_policy.this) == 1 && length(aws_s3_bucket_cors_configuration.this) == 0 && length(aws_s3_bucket_versioning.this) == 0 && length(aws_s3_bucket_notification.this) == 0
    error_message = "calls without TLS must be denied, and no web page may use it"
  }
}

run "with_a_key" {
  variables {
    kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/1"
  }

  assert {
    condition = alltrue([for rule in aws_s3_bucket_server_side_encryption_configuration.this.rule :
      rule.apply_server_side_encryption_by_default[0].sse_algorithm == "aws:kms" && rule.apply_server_side_encryption_by_default[0].kms_master_key_id == var.kms_key_arn && rule.bucket_key_enabled
    ])
    error_message = "the key must encrypt the objects"
  }
}

run "for_web_pages_without_tls" {
  variables {
    cors_origins  = ["https://example.com"]
    force_destroy = true
    tls_only      = false
  }

  assert {
    condition     = one(one(aws_s3_bucket_cors_configuration.this).cors_rule).allowed_origins == toset(["https://example.com"])
    error_message = "the origin's pages must be able to use links"
  }

  assert {
    condition     = length(aws_s3_bucket_policy.this) == 0 && aws_s3_bucket.this.force_destroy
    error_message = "TLS and the protection of objects can be turned off"
  }
}

run "of_a_trigger_behind_a_cdn" {
  variables {
    retention_days = null
    versions_days  = 9
    events         = true
    cdn            = { distribution_arn = "arn:aws:cloudfront::123456789012:distribution/E1", prefixes = ["thumbnails/"] }
  }

  assert {
    condition     = length(one(aws_s3_bucket_lifecycle_configuration.this.rule).expiration) == 0 && one(one(aws_s3_bucket_lifecycle_configuration.this.rule).noncurrent_version_expiration).noncurrent_days == 9
    error_message = "objects must stay, and their former versions as long as requests may read them"
  }

  assert {
    condition     = one(one(aws_s3_bucket_versioning.this).versioning_configuration).status == "Enabled" && one(aws_s3_bucket_notification.this).eventbridge
    error_message = "each write must be a version, and an event"
  }

  assert {
    condition     = length(data.aws_iam_policy_document.this[0].statement) == 2 && data.aws_iam_policy_document.this[0].statement[1].resources == toset(["arn:aws:s3:::inference-test-payloads-123456789012-eu-west-1/thumbnails/*"]) && one(data.aws_iam_policy_document.this[0].statement[1].condition).values[0] == "arn:aws:cloudfront::123456789012:distribution/E1"
    error_message = "this distribution alone may read, and below the prefix alone"
  }
}
