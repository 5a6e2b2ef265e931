data "aws_partition" "current" {}
data "aws_caller_identity" "current" {}

# For its region: the attribute of aws_region differs between version 5 and 6 of the provider.
data "aws_service" "logs" {
  service_id = "logs"
}

locals {
  log_group_name = "/aws/lambda/${var.name}"
  # Built from names, not read from the resource, so that a plan shows every policy in full.
  log_group_arn = join(":", [
    "arn", data.aws_partition.current.partition, "logs", data.aws_service.logs.region,
    data.aws_caller_identity.current.account_id, "log-group", local.log_group_name,
  ])
  function_arn = join(":", [
    "arn", data.aws_partition.current.partition, "lambda", data.aws_service.logs.region,
    data.aws_caller_identity.current.account_id, "function", var.name,
  ])
  uses_key = var.key == null ? false : length(var.key.decrypts_by) + length(var.key.encrypts_by) > 0
}

# Terraform owns the group: Lambda would create one without retention, and the role would need the permission for it.
resource "aws_cloudwatch_log_group" "this" {
  name              = local.log_group_name
  retention_in_days = var.log_retention_days
  kms_key_id        = try(var.key.arn, null)
}

data "aws_iam_policy_document" "assume" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "this" {
  name               = var.name
  description        = "What the function ${var.name} may do, and nothing else."
  assume_role_policy = data.aws_iam_policy_document.assume.json
}

data "aws_iam_policy_document" "own_log" {
  statement {
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${local.log_group_arn}:*"]
  }
}

resource "aws_iam_role_policy" "own_log" {
  name   = "own-log"
  role   = aws_iam_role.this.id
  policy = data.aws_iam_policy_document.own_log.json
}

# X-Ray has no resources for these.
data "aws_iam_policy_document" "tracing" {
  count = var.tracing ? 1 : 0

  statement {
    actions   = ["xray:PutTelemetryRecords", "xray:PutTraceSegments"]
    resources = ["*"]
  }
}

resource "aws_iam_role_policy" "tracing" {
  count = var.tracing ? 1 : 0

  name   = "tracing"
  role   = aws_iam_role.this.id
  policy = data.aws_iam_policy_document.tracing[0].json
}

# Only by way of the services that the function calls. Logs are encrypted by CloudWatch Logs, by right of the key's policy.
data "aws_iam_policy_document" "key" {
  count = local.uses_key ? 1 : 0

  dynamic "statement" {
    for_each = { for action, services in { "kms:Decrypt" = var.key.decrypts_by, "kms:GenerateDataKey" = var.key.encrypts_by } : action => services if length(services) > 0 }

    content {
      actions   = [statement.key]
      resources = [var.key.arn]

      condition {
        test     = "StringEquals"
        variable = "kms:ViaService"
        values   = [for service in statement.value : "${service}.${data.aws_service.logs.region}.${data.aws_partition.current.dns_suffix}"]
      }
    }
  }
}

resource "aws_iam_role_policy" "key" {
  count = local.uses_key ? 1 : 0

  name   = "key"
  role   = aws_iam_role.this.id
  policy = data.aws_iam_policy_document.key[0].json
}

# Lambda uses these to give the function its network interfaces, by the function's role; the function's own code may not.
data "aws_iam_policy_document" "network" {
  count = var.vpc == null ? 0 : 1

  # EC2 has no resources for these.
  statement {
    actions   = ["ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"]
    resources = ["*"]
  }

  # Any resource of this region and account, as Lambda's documentation asks for.
  statement {
    actions = [
      "ec2:AssignPrivateIpAddresses", "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface", "ec2:UnassignPrivateIpAddresses",
    ]
    resources = ["arn:${data.aws_partition.current.partition}:ec2:${data.aws_service.logs.region}:${data.aws_caller_identity.current.account_id}:*/*"]
  }

  statement {
    effect    = "Deny"
    actions   = ["ec2:*"]
    resources = ["*"]

    condition {
      test     = "ArnEquals"
      variable = "lambda:SourceFunctionArn"
      values   = [local.function_arn]
    }
  }
}

resource "aws_iam_role_policy" "network" {
  count = var.vpc == null ? 0 : 1

  name   = "network"
  role   = aws_iam_role.this.id
  policy = data.aws_iam_policy_document.network[0].json
}

resource "aws_iam_role_policy" "capability" {
  for_each = var.policies

  name   = each.key
  role   = aws_iam_role.this.id
  policy = each.value
}

# What does not fit into a role's inline policies, which have one limit in common.
resource "aws_iam_policy" "attached" {
  for_each = var.attached_policies

  name        = "${var.name}-${each.key}"
  description = "What the function ${var.name} may do, too."
  policy      = each.value
}

resource "aws_iam_role_policy_attachment" "attached" {
  for_each = var.attached_policies

  role       = aws_iam_role.this.name
  policy_arn = aws_iam_policy.attached[each.key].arn
}

resource "terraform_data" "package_type" {
  input = var.package.image == null ? "Zip" : "Image"
}

resource "aws_lambda_function" "this" {
  function_name = var.name
  description   = var.description
  role          = aws_iam_role.this.arn
  architectures = [var.architecture]
  memory_size   = var.memory_mb
  timeout       = var.timeout_seconds

  package_type     = terraform_data.package_type.input
  filename         = try(var.package.zip.path, null)
  source_code_hash = try(filebase64sha256(var.package.zip.path), null)
  handler          = try(var.package.zip.handler, null)
  runtime          = try(var.package.zip.runtime, null)
  image_uri        = try(var.package.image.uri, null)

  # An alias can only be warm on a published version, so every change publishes one.
  publish                        = true
  reserved_concurrent_executions = coalesce(var.reserved_concurrency, -1)

  dynamic "image_config" {
    for_each = try(var.package.image.command, null) == null ? [] : [var.package.image.command]

    content {
      command = image_config.value
    }
  }

  dynamic "vpc_config" {
    for_each = var.vpc == null ? [] : [var.vpc]

    content {
      subnet_ids         = vpc_config.value.subnet_ids
      security_group_ids = vpc_config.value.security_group_ids
    }
  }

  ephemeral_storage {
    size = var.ephemeral_storage_mb
  }

  dynamic "snap_start" {
    for_each = coalesce(var.warmth.snap_start, false) ? ["PublishedVersions"] : []

    content {
      apply_on = snap_start.value
    }
  }

  # The function's own lines are written as they are in both formats. In JSON, Lambda would filter them by their level, which
  # the function has done already.
  logging_config {
    log_format            = var.invocation_lines ? "Text" : "JSON"
    log_group             = aws_cloudwatch_log_group.this.name
    application_log_level = var.invocation_lines ? null : "TRACE"
    system_log_level      = var.invocation_lines ? null : "WARN"
  }

  # Said in both cases: a block that is taken away would leave tracing on.
  tracing_config {
    mode = var.tracing ? "Active" : "PassThrough"
  }

  # No empty block: every plan would show it as a change.
  dynamic "environment" {
    for_each = length(var.environment) == 0 ? [] : [var.environment]

    content {
      variables = environment.value
    }
  }

  depends_on = [
    aws_cloudwatch_log_group.this,
    aws_iam_role_policy.own_log,
    aws_iam_role_policy.tracing,
    aws_iam_role_policy.key,
    aws_iam_role_policy.network,
    aws_iam_role_policy.capability,
    aws_iam_role_policy_attachment.attached,
  ]
}

# Everything invokes the function by this alias: with $LATEST, warm instances would silently stay unused.
resource "aws_lambda_alias" "live" {
  name             = "live"
  description      = "The version that serves."
  function_name    = aws_lambda_function.this.function_name
  function_version = local.serving_version

  dynamic "routing_config" {
    for_each = local.canary_versions

    content {
      additional_version_weights = { (routing_config.value) = local.canary }
    }
  }

  # A function of another package type is another function, of the same name. The old one takes its alias with it.
  lifecycle {
    replace_triggered_by = [terraform_data.package_type]
  }
}
