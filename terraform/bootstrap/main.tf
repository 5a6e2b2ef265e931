# The bucket for the Terraform states of dev and prod. It is made once for an account and region, with a state of its own on
# this machine: the README says what to do when that is lost.

terraform {
  required_version = ">= 1.10"

  required_providers {
    # Pinned exactly, instead of a lock file: docs/adr/0007-no-lock-file.md.
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }
  }

  # On AWS the state is in this folder; `make bootstrap` gives the emulator's another path.
  backend "local" {}
}

provider "aws" {
  default_tags {
    tags = {
      Project   = "inference"
      ManagedBy = "terraform"
    }
  }
}

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

# The attribute of aws_region for the name differs between version 5 and 6 of the provider.
data "aws_service" "s3" {
  service_id = "s3"
}

locals {
  # Names of buckets are shared by all accounts, so the default contains the account.
  bucket     = coalesce(var.bucket, "inference-terraform-${data.aws_caller_identity.current.account_id}-${data.aws_service.s3.region}")
  bucket_arn = "arn:${data.aws_partition.current.partition}:s3:::${local.bucket}"
}

resource "aws_s3_bucket" "state" {
  #checkov:skip=CKV_AWS_18:access logs need a second bucket; CloudTrail's data events show who reads a state
  #checkov:skip=CKV_AWS_144:a state is of use in its own region only
  #checkov:skip=CKV_AWS_145:S3's own keys encrypt it unless kms_key_arn is set; a customer key costs $1 a month
  #checkov:skip=CKV2_AWS_62:nothing reacts to a new state

  bucket = local.bucket

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_versioning" "state" {
  bucket = aws_s3_bucket.state.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "state" {
  bucket = aws_s3_bucket.state.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm     = var.kms_key_arn == null ? "AES256" : "aws:kms"
      kms_master_key_id = var.kms_key_arn
    }

    bucket_key_enabled = var.kms_key_arn == null ? null : true # fewer calls to KMS
  }
}

resource "aws_s3_bucket_public_access_block" "state" {
  bucket = aws_s3_bucket.state.id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

# No access control lists: only policies give access.
resource "aws_s3_bucket_ownership_controls" "state" {
  bucket = aws_s3_bucket.state.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "state" {
  bucket = aws_s3_bucket.state.id

  rule {
    id     = "former-versions"
    status = "Enabled"

    filter {}

    noncurrent_version_expiration {
      noncurrent_days           = var.former_version_days
      newer_noncurrent_versions = 20 # kept however old they are
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  depends_on = [aws_s3_bucket_versioning.state]
}

data "aws_iam_policy_document" "tls_only" {
  statement {
    sid       = "DenyWithoutTls"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [local.bucket_arn, "${local.bucket_arn}/*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_s3_bucket_policy" "state" {
  bucket = aws_s3_bucket.state.id
  policy = data.aws_iam_policy_document.tls_only.json

  # S3 rejects concurrent changes of a bucket's policy and its public access block.
  depends_on = [aws_s3_bucket_public_access_block.state]
}
