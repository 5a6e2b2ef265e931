output "bucket" {
  description = "Name of the bucket, for `bucket` in backend.hcl."
  value       = aws_s3_bucket.state.bucket
}

output "region" {
  description = "Region of the bucket, for `region` in backend.hcl."
  value       = data.aws_service.s3.region
}

output "kms_key_arn" {
  description = "KMS key of the states, for `kms_key_id` in backend.hcl; empty where S3's own encrypts them."
  value       = var.kms_key_arn == null ? "" : var.kms_key_arn
}
