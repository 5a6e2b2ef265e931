output "bucket" {
  description = "Name of the bucket, for `bucket` in backend.hcl."
  value       = aws_s3_bucket.state.bucket
}

output "region" {
  description = "Region of the bucket, for `region` in backend.hcl."
  value       = data.aws_service.s3.region
}
