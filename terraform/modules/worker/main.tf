data "aws_partition" "current" {}
data "aws_region" "current" {}
data "aws_caller_identity" "current" {}

locals {
  # Built from the name: the right to read is granted, and seen in the plan, before the queue exists.
  queue_arn = join(":", [
    "arn", data.aws_partition.current.partition, "sqs", data.aws_region.current.name,
    data.aws_caller_identity.current.account_id, var.queue.name,
  ])

  # s3://bucket/key[#sha256=<hex>] -> arn:<partition>:s3:::bucket/key
  artifact_arn = var.artifact == null ? null : join(":", [
    "arn", data.aws_partition.current.partition, "s3", "", "", trimprefix(split("#", var.artifact)[0], "s3://"),
  ])

  # What the worker needs comes last: a model's own variables cannot replace it.
  environment = merge(
    var.environment,
    {
      MODEL              = var.model.name
      MODEL_SOURCE       = var.model.source
      QUEUE_URL          = var.queue.url
      REQUEST_TABLE      = var.table.name
      LOG_LEVEL          = var.log_level
      RETRY_BASE_SECONDS = tostring(var.retry.base_seconds)
      RETRY_MAX_SECONDS  = tostring(var.retry.max_seconds)
    },
    var.artifact == null ? {} : { MODEL_ARTIFACT = var.artifact },
  )

  policies = merge(
    {
      queue = data.aws_iam_policy_document.queue.json
      table = data.aws_iam_policy_document.table.json
    },
    { for name, document in data.aws_iam_policy_document.artifact : "artifact" => document.json },
  )
}

data "aws_iam_policy_document" "queue" {
  statement {
    # SQS grants a batch of changes to who may make one; whatever checks the called operation's own name needs the last.
    actions = [
      "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes",
      "sqs:ChangeMessageVisibility", "sqs:ChangeMessageVisibilityBatch",
    ]
    resources = [local.queue_arn]
  }
}

data "aws_iam_policy_document" "table" {
  statement {
    actions   = ["dynamodb:GetItem", "dynamodb:UpdateItem", "dynamodb:PartiQLUpdate"]
    resources = [var.table.arn]
  }
}

data "aws_iam_policy_document" "artifact" {
  count = var.artifact == null ? 0 : 1

  statement {
    actions   = ["s3:GetObject"]
    resources = [local.artifact_arn]
  }
}

module "function" {
  source = "../function"

  name                    = var.name
  description             = "Runs the model ${var.model.name} over the requests of its queue."
  package                 = var.package
  architecture            = var.architecture
  memory_mb               = var.memory_mb
  ephemeral_storage_mb    = var.ephemeral_storage_mb
  timeout_seconds         = var.timeout_seconds
  environment             = local.environment
  policies                = local.policies
  provisioned_concurrency = var.provisioned_concurrency
  reserved_concurrency    = var.reserved_concurrency
  log_retention_days      = var.log_retention_days
}

resource "aws_lambda_event_source_mapping" "queue" {
  event_source_arn                   = var.queue_arn
  function_name                      = module.function.alias_arn
  batch_size                         = var.batch_size
  maximum_batching_window_in_seconds = var.batch_window_seconds
  function_response_types            = ["ReportBatchItemFailures"]

  dynamic "scaling_config" {
    for_each = var.maximum_concurrency == null ? [] : [var.maximum_concurrency]

    content {
      maximum_concurrency = scaling_config.value
    }
  }
}
