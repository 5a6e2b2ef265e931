mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name               = "inference-test-results"
  bucket_domain_name = "inference-test-objects-123456789012-eu-west-1.s3.eu-west-1.amazonaws.com"
  price_class        = "PriceClass_100"
}

run "distribution" {
  assert {
    condition     = one(aws_cloudfront_distribution.this.origin).origin_access_control_id == aws_cloudfront_origin_access_control.this.id && one(aws_cloudfront_distribution.this.origin).domain_name == var.bucket_domain_name
    error_message = "the bucket must be read with the distribution's signature"
  }

  assert {
    condition     = aws_cloudfront_origin_access_control.this.signing_behavior == "always" && aws_cloudfront_origin_access_control.this.origin_access_control_origin_type == "s3"
    error_message = "each read must be signed: the bucket is private"
  }

  assert {
    condition     = one(aws_cloudfront_distribution.this.default_cache_behavior).viewer_protocol_policy == "https-only" && one(aws_cloudfront_distribution.this.default_cache_behavior).allowed_methods == toset(["GET", "HEAD"])
    error_message = "results are read only, by HTTPS only"
  }

  assert {
    condition     = aws_cloudfront_distribution.this.price_class == "PriceClass_100" && output.arn == aws_cloudfront_distribution.this.arn && output.url == "https://mock.cloudfront.net/"
    error_message = "the price class is the setting's"
  }
}
