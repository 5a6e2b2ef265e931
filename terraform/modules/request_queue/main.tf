data "aws_partition" "current" {}
data "aws_caller_identity" "current" {}

# For its region: the attribute of aws_region differs between version 5 and 6 of the provider.
data "aws_service" "sqs" {
  service_id = "sqs"
}

locals {
  dlq_name = "${var.name}-dlq"

  # ARNs built from names: the policies of a queue name it, and the DLQ's names its source, before they exist.
  arn_prefix = "arn:${data.aws_partition.current.partition}:sqs:${data.aws_service.sqs.region}:${data.aws_caller_identity.current.account_id}"
  arn        = "${local.arn_prefix}:${var.name}"
  dlq_arn    = "${local.arn_prefix}:${local.dlq_name}"

  # AWS asks for six times the consumer's timeout plus the batching window: a throttled batch is tried again within it.
  # The largest that can come out, 6 x 900 + 300, is far below SQS's limit of 43200.
  visibility_timeout_seconds     = 6 * var.worker_timeout_seconds + var.batch_window_seconds
  dlq_visibility_timeout_seconds = 6 * var.dlq_consumer_timeout_seconds

  # A message keeps its first timestamp when it moves to the DLQ, so the DLQ keeps them as long as SQS can.
  dlq_retention_seconds = 1209600
}

data "aws_iam_policy_document" "tls_only" {
  for_each = var.tls_only ? { this = local.arn, dlq = local.dlq_arn } : {}

  statement {
    sid       = "TlsOnly"
    effect    = "Deny"
    actions   = ["sqs:*"]
    resources = [each.value]

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

resource "aws_sqs_queue" "dlq" {
  name                       = local.dlq_name
  visibility_timeout_seconds = local.dlq_visibility_timeout_seconds
  message_retention_seconds  = local.dlq_retention_seconds
  max_message_size           = 262144
  receive_wait_time_seconds  = 20
  sqs_managed_sse_enabled    = true
  policy                     = try(data.aws_iam_policy_document.tls_only["dlq"].json, null)

  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [local.arn]
  })
}

resource "aws_sqs_queue" "this" {
  name                       = var.name
  visibility_timeout_seconds = local.visibility_timeout_seconds
  message_retention_seconds  = var.retention_seconds
  max_message_size           = 262144
  receive_wait_time_seconds  = 20
  sqs_managed_sse_enabled    = true
  policy                     = try(data.aws_iam_policy_document.tls_only["this"].json, null)

  # SQS rejects a redrive policy whose DLQ does not exist, so they are created one after the other (the provider waits 25 s for
  # each). A separate resource for this policy would take another 25 s, also at destroy.
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dlq.arn
    maxReceiveCount     = var.max_receive_count
  })
}
