data "aws_partition" "current" {}
data "aws_caller_identity" "current" {}

# For its region: what aws_region calls that differs between version 5 and 6 of the provider.
data "aws_service" "sqs" {
  service_id = "sqs"
}

locals {
  # ARNs built from names: the queue's policies name it and its sources before they exist.
  arn_prefix = "arn:${data.aws_partition.current.partition}:sqs:${data.aws_service.sqs.region}:${data.aws_caller_identity.current.account_id}"
  arn        = "${local.arn_prefix}:${var.name}"

  # SQS takes at most ten sources by name.
  redrive_allow_policy = length(var.source_names) > 10 ? { redrivePermission = "allowAll", sourceQueueArns = null } : {
    redrivePermission = "byQueue"
    sourceQueueArns   = sort([for name in var.source_names : "${local.arn_prefix}:${name}"])
  }
}

data "aws_iam_policy_document" "tls_only" {
  count = var.tls_only ? 1 : 0

  statement {
    sid       = "TlsOnly"
    effect    = "Deny"
    actions   = ["sqs:*"]
    resources = [local.arn]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_sqs_queue" "this" {
  name = var.name

  # AWS asks for six times the consumer's timeout.
  visibility_timeout_seconds = 6 * var.consumer_timeout_seconds

  # The longest that SQS has: a message keeps its first timestamp when it moves here.
  message_retention_seconds = 1209600
  max_message_size          = 262144
  receive_wait_time_seconds = 20
  sqs_managed_sse_enabled   = var.kms_key_arn == null ? true : null # either of the two
  kms_master_key_id         = var.kms_key_arn
  policy                    = try(data.aws_iam_policy_document.tls_only[0].json, null)
  redrive_allow_policy      = jsonencode({ for key, value in local.redrive_allow_policy : key => value if value != null })
}
