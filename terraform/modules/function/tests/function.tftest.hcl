mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name        = "inference-test-api"
  description = "Answers."
  package     = { zip = { path = "main.tf", handler = "api.handler", runtime = "python3.13" } }
  policies    = { table = "{\"Version\":\"2012-10-17\",\"Statement\":[]}", queue = "{\"Version\":\"2012-10-17\",\"Statement\":[]}" }

  architecture            = "x86_64"
  memory_mb               = 256
  ephemeral_storage_mb    = 512
  timeout_seconds         = 30
  environment             = { LOG_LEVEL = "INFO" }
  provisioned_concurrency = 0
  reserved_concurrency    = null
  log_retention_days      = 30
  tracing                 = false
}

run "zip" {
  assert {
    condition     = aws_lambda_function.this.source_code_hash == filebase64sha256("main.tf") && aws_lambda_function.this.handler == "api.handler"
    error_message = "a zip is deployed with its own hash, so that other code is another version"
  }

  assert {
    condition     = aws_lambda_function.this.publish
    error_message = "each change must publish a version: provisioned concurrency needs one"
  }

  assert {
    condition     = aws_lambda_alias.live.name == "live" && aws_lambda_alias.live.function_version == aws_lambda_function.this.version
    error_message = "the alias live must point to the published version"
  }

  assert {
    condition     = length(aws_lambda_provisioned_concurrency_config.live) == 0
    error_message = "no instance is kept warm unless it is asked for"
  }

  assert {
    condition     = aws_cloudwatch_log_group.this.name == "/aws/lambda/inference-test-api" && aws_cloudwatch_log_group.this.retention_in_days == 30
    error_message = "the log group Lambda writes to must be Terraform's, with a retention"
  }

  assert {
    condition     = aws_iam_role.this.name == var.name && toset(keys(aws_iam_role_policy.capability)) == toset(["table", "queue"])
    error_message = "the function has a role of its own, with one policy a capability"
  }

  assert {
    condition     = data.aws_iam_policy_document.own_log.statement[0].resources == toset(["arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/inference-test-api:*"])
    error_message = "the function may write to its own log group and to no other"
  }

  assert {
    condition     = one(aws_lambda_function.this.tracing_config).mode == "PassThrough" && length(aws_iam_role_policy.tracing) == 0
    error_message = "nothing is traced unless it is asked for"
  }

  assert {
    condition     = data.aws_iam_policy_document.own_log.statement[0].actions == toset(["logs:CreateLogStream", "logs:PutLogEvents"])
    error_message = "Terraform makes the log group: the function must not have logs:CreateLogGroup"
  }
}

run "traced" {
  variables {
    tracing = true
  }

  assert {
    condition     = one(aws_lambda_function.this.tracing_config).mode == "Active"
    error_message = "the function must be traced where it is asked for"
  }

  assert {
    condition     = data.aws_iam_policy_document.tracing[0].statement[0].actions == toset(["xray:PutTelemetryRecords", "xray:PutTraceSegments"]) && aws_iam_role_policy.tracing[0].role == aws_iam_role.this.id
    error_message = "without the right to, Lambda sends no trace"
  }
}

run "image" {
  variables {
    package = {
      image = {
        uri     = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/worker@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
        command = ["worker.handler.handler"]
      }
    }
  }

  assert {
    condition     = aws_lambda_function.this.package_type == "Image" && aws_lambda_function.this.image_uri == var.package.image.uri
    error_message = "the image must be deployed by the digest that was given"
  }

  assert {
    condition     = aws_lambda_function.this.handler == null && aws_lambda_function.this.runtime == null && aws_lambda_function.this.filename == null
    error_message = "AWS rejects handler, runtime and zip beside an image"
  }

  assert {
    condition     = one(aws_lambda_function.this.image_config).command == tolist(["worker.handler.handler"])
    error_message = "the command replaces the image's"
  }
}

run "warm" {
  variables {
    provisioned_concurrency = 2
    reserved_concurrency    = 5
    architecture            = "arm64"
    ephemeral_storage_mb    = 2048
  }

  assert {
    condition     = aws_lambda_provisioned_concurrency_config.live[0].qualifier == aws_lambda_alias.live.name
    error_message = "warm instances must be the alias's"
  }

  assert {
    condition     = aws_lambda_function.this.reserved_concurrent_executions == 5 && aws_lambda_function.this.architectures == tolist(["arm64"])
    error_message = "reserved concurrency and architecture must reach the function"
  }

  assert {
    condition     = one(aws_lambda_function.this.ephemeral_storage).size == 2048
    error_message = "the size of /tmp must reach the function"
  }
}
