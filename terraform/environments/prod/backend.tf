# Partial: bucket, key and region come from backend.hcl (see backend.hcl.example).
terraform {
  backend "s3" {
    encrypt      = true
    use_lockfile = true
  }
}
