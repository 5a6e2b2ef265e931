# One run with everything valid, then one that breaks each validation.

mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name               = "inference-test-results"
  bucket_domain_name = "inference-test-objects-123456789012-eu-west-1.s3.eu-west-1.amazonaws.com"
  price_class        = "PriceClass_100"
}

run "valid" {
  command = plan

  assert {
    condition     = aws_cloudfront_origin_access_control.this.name == var.name
    error_message = "the access control takes the name"
  }
}

run "invalid" {
  command         = plan
  expect_failures = [var.name, var.price_class]

  variables {
    # a capital letter
    name = "Results"
    # no class
    price_class = "PriceClass_300"
  }
}
