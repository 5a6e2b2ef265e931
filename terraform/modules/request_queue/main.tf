data "aws_partition" "current" {}
data "aws_caller_identity" "current" {}

# For its region: the attribute of aws_region differs between version 5 and 6 of the provider.
data "aws_service" "sqs" {
  service_id = "sqs"
}

locals {
  # Built from the name: the queue's policy names it before it exists.
  arn = "arn:${data.aws_partition.current.partition}:sqs:${data.aws_service.sqs.region}:${data.aws_caller_identity.current.account_id}:${var.name}"

  # AWS asks for six times the consumer's timeout plus the batching window: a throttled batch is tried again within it.
  # The largest that can come out, 6 x 900 + 300, is far below SQS's limit of 43200.
  visibility_timeout_seconds = 6 * var.worker_timeout_seconds + var.batch_window_seconds
}

data "aws_iam_policy_document" "this" {
  count = var.tls_only || length(var.sender_rule_arns) > 0 ? 1 : 0

  dynamic "statement" {
    for_each = var.tls_only ? [local.arn] : []

    content {
      sid       = "TlsOnly"
      effect    = "Deny"
      actions   = ["sqs:*"]
      resources = [statement.value]

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

  dynamic "statement" {
    for_each = length(var.sender_rule_arns) == 0 ? [] : [var.sender_rule_arns]

    content {
      sid       = "Rules"
      actions   = ["sqs:SendMessage"]
      resources = [local.arn]

      principals {
        type        = "Service"
        identifiers = ["events.amazonaws.com"]
      }

      condition {
        test     = "ArnEquals"
        variable = "aws:SourceArn"
        values   = statement.value
      }
    }
  }
}

resource "aws_sqs_queue" "this" {
  name                       = var.name
  visibility_timeout_seconds = local.visibility_timeout_seconds
  message_retention_seconds  = var.retention_seconds
  max_message_size           = 262144
  receive_wait_time_seconds  = 20
  sqs_managed_sse_enabled    = var.kms_key_arn == null ? true : null # either of the two
  kms_master_key_id          = var.kms_key_arn
  policy                     = try(data.aws_iam_policy_document.this[0].json, null)

  # As a resource of its own this policy would be watched by the provider for another 25 s, at destroy too.
  redrive_policy = jsonencode({
    deadLetterTargetArn = var.dead_letter_queue_arn
    maxReceiveCount     = var.max_receive_count
  })
}
