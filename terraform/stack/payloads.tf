# Inputs and results that do not fit in a message or a record, and uploads.

locals {
  # For how long an upload can be referred to: REFERABLE_MS in lambda/inference/store/payloads.py.
  referable_seconds = 86400

  # An object outlives every request that refers to it, its deadline and retention included.
  payload_retention_days = ceil((local.referable_seconds + local.requests.deadline_seconds + local.requests.retention_seconds) / 86400)

  # The names are shared by all accounts.
  payload_bucket_name = "${var.name_prefix}-payloads-${data.aws_caller_identity.current.account_id}-${data.aws_service.sqs.region}"
  payload_bucket_arn  = "arn:${local.partition}:s3:::${local.payload_bucket_name}"

  # The page GET /docs uploads files. It can be opened at API Gateway's own URL, and at the domain before it. As browsers write
  # an origin: in lower case, and without the port that https has anyway. How many there are is known before the URLs are.
  page_urls = local.api.docs == "off" ? [] : concat([module.http_api.url], var.api_url == null ? [] : [lower(var.api_url)])
  upload_origins = concat(
    [for url in local.page_urls : trimsuffix(regex("^https?://[^/]+", url), ":443")],
    try(local.cors.allow_origins, []),
  )
}

module "payload_bucket" {
  source = "../modules/payload_bucket"

  name           = local.payload_bucket_name
  retention_days = local.payload_retention_days
  versions_days  = null
  events         = false
  cdn            = null
  cors_origins   = local.upload_origins
  force_destroy  = !var.deletion_protection
  tls_only       = var.tls_only
  kms_key_arn    = var.kms_key_arn
}

# Uploads and links are the function's own rights, lent for some minutes.
data "aws_iam_policy_document" "api_payloads" {
  statement {
    actions   = ["s3:GetObject", "s3:DeleteObject"]
    resources = ["${local.payload_bucket_arn}/requests/*", "${local.payload_bucket_arn}/uploads/*"]
  }

  statement {
    actions   = ["s3:PutObject"]
    resources = ["${local.payload_bucket_arn}/requests/*/input-*.json", "${local.payload_bucket_arn}/uploads/*"]
  }

  # To find what is left of a request; without it, S3 also answers 403 for an object that does not exist.
  statement {
    actions   = ["s3:ListBucket"]
    resources = [local.payload_bucket_arn]
  }
}
