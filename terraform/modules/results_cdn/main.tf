# CloudFront in front of results in S3. The bucket stays private: it lets this distribution alone read, by the signature that the origin
# access control makes, and below the results' prefixes alone (the bucket's policy, in the payload_bucket module).

locals {
  # AWS's own policies, the same in every account.
  caching_optimized = "658327ea-f89d-4fab-a63d-7e88639e58f6" # as long as an object's Cache-Control says, a day at least without one
  security_headers  = "67f7725c-6f97-4210-82d7-5512b31e9d03" # HSTS, nosniff, no framing
}

resource "aws_cloudfront_origin_access_control" "this" {
  name                              = var.name
  description                       = "Reads the results of ${var.name}."
  origin_access_control_origin_type = "s3"
  signing_behavior                  = "always"
  signing_protocol                  = "sigv4"
}

resource "aws_cloudfront_distribution" "this" {
  #checkov:skip=CKV_AWS_68:a web ACL costs $5 a month; only GET of objects that are meant to be read gets through
  #checkov:skip=CKV_AWS_86:access logs need another bucket
  #checkov:skip=CKV_AWS_174:the certificate is CloudFront's own, whose least version of TLS can't be set
  #checkov:skip=CKV_AWS_305:a root object would be served for /, which is no result
  #checkov:skip=CKV_AWS_310:the origin is one bucket
  #checkov:skip=CKV_AWS_374:readers may be anywhere
  #checkov:skip=CKV2_AWS_32:one of AWS's own is attached below, which is no resource here
  #checkov:skip=CKV2_AWS_42:a certificate of the account's own needs a domain
  #checkov:skip=CKV2_AWS_47:without a web ACL there are no rules for Log4j, and S3 does not run it

  comment         = "Results of ${var.name}."
  enabled         = true
  is_ipv6_enabled = true
  http_version    = "http2and3"
  price_class     = var.price_class

  origin {
    origin_id                = "results"
    domain_name              = var.bucket_domain_name
    origin_access_control_id = aws_cloudfront_origin_access_control.this.id
  }

  default_cache_behavior {
    target_origin_id           = "results"
    viewer_protocol_policy     = "https-only"
    allowed_methods            = ["GET", "HEAD"]
    cached_methods             = ["GET", "HEAD"]
    compress                   = true
    cache_policy_id            = local.caching_optimized
    response_headers_policy_id = local.security_headers
  }

  restrictions {
    geo_restriction {
      restriction_type = "none"
    }
  }

  viewer_certificate {
    cloudfront_default_certificate = true
  }
}
