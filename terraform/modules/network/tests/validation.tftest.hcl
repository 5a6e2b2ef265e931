# One run with everything valid, then runs that break each validation once. A run breaks several variables, since each
# run costs a second: it passes only if every variable in expect_failures fails, and nothing else does.

mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name       = "inference-test"
  cidr       = "10.0.0.0/24"
  zone_count = 2
  endpoints  = ["logs", "sqs"]
}

run "valid" {
  command = plan

  assert {
    condition     = aws_vpc.this.cidr_block == "10.0.0.0/24"
    error_message = "the VPC has the addresses that it is given"
  }
}

run "invalid_1" {
  command         = plan
  expect_failures = [var.name, var.cidr, var.endpoints]

  variables {
    # name with capitals
    name = "Inference"
    # larger than a VPC may be
    cidr = "10.0.0.0/8"
    # full name
    endpoints = ["com.amazonaws.eu-west-1.SQS"]
  }
}

run "invalid_2" {
  command         = plan
  expect_failures = [var.cidr, var.endpoints]

  variables {
    # too small for two subnets
    cidr = "10.0.0.0/28"
    # has a gateway endpoint
    endpoints = ["s3"]
  }
}

run "one_zone" {
  command         = plan
  expect_failures = [var.zone_count]

  variables {
    zone_count = 1
  }
}
