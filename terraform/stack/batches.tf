# Batches from uploaded files: the function that creates their items, and the queue that starts it. Why it is so, and what a crash
# leaves at each step: docs/adr/0016-batches-from-files.md.

locals {
  # A file of ten thousand lines takes a minute or two. What is not done by then the next invocation continues.
  batches_timeout_seconds = 120
  batches_memory_mb       = 512 # a part of a file, and its lines as Python's objects

  # An invocation that ends before the file does is one receive, and so is one that AWS's errors stopped. The record counts those
  # that were killed, of which it allows five in a row (inference/batches/creation.py).
  batches_max_receive_count = 100
}

module "batch_queue" {
  source = "../modules/request_queue"

  name                   = local.batch_queue_name
  worker_timeout_seconds = local.batches_timeout_seconds # six times that is below sweeper.grace_seconds: a step is repeated before its items count as lost
  batch_window_seconds   = 0
  dead_letter_queue_arn  = module.dead_letter_queue.arn
  max_receive_count      = local.batches_max_receive_count
  retention_seconds      = local.queue_retention_seconds
  sender_rule_arns       = []
  tls_only               = var.tls_only
  kms_key_arn            = var.kms_key_arn
}

module "batches" {
  source = "../modules/function"

  name                 = local.function_names.batches
  description          = "Creates the items of batches from uploaded files, and cancels those of large batches."
  package              = { zip = { path = local.lambda_package, handler = "batches.handler", runtime = local.defaults.zip.runtime } }
  architecture         = var.architecture
  memory_mb            = local.batches_memory_mb
  ephemeral_storage_mb = local.default_ephemeral_storage_mb
  timeout_seconds      = local.batches_timeout_seconds
  warmth               = {}
  rollout              = {}
  reserved_concurrency = null
  log_retention_days   = var.log_retention_days
  tracing              = local.monitoring.tracing
  invocation_lines     = local.invocation_lines
  key                  = local.keys.batches
  vpc                  = local.function_vpc

  environment = merge(local.metrics_environment, {
    REQUEST_TABLE    = module.request_table.name
    LOG_LEVEL        = var.log_level
    MODELS           = local.models_text
    POOLS            = local.pools_text
    DEFAULT_MODEL    = var.default_model
    QUEUE_URL_PREFIX = local.queue_url_prefix
    BATCH_QUEUE_URL  = local.batch_queue_url
    PAYLOAD_BUCKET   = module.payload_bucket.name
    MAX_BATCH_LINES  = tostring(local.requests.max_batch_lines)
    MAX_BODY_BYTES   = tostring(local.requests.max_body_bytes)
    MAX_BODY_DEPTH   = tostring(local.requests.max_body_depth)
  })

  attached_policies = local.more_queues["SendMessage"]
  policies = {
    table    = data.aws_iam_policy_document.batches_table.json
    queue    = data.aws_iam_policy_document.batches_queue.json
    payloads = data.aws_iam_policy_document.batches_payloads.json
  }
}

resource "aws_lambda_event_source_mapping" "batches" {
  event_source_arn        = module.batch_queue.arn
  function_name           = module.batches.alias_arn
  batch_size              = 1 # the whole time of an invocation is for one file
  function_response_types = ["ReportBatchItemFailures"]

  scaling_config {
    maximum_concurrency = 5
  }
}

data "aws_iam_policy_document" "batches_table" {
  statement {
    actions = [
      "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:PartiQLInsert", "dynamodb:PartiQLUpdate",
    ]
    resources = [local.table_arn]
  }
}

data "aws_iam_policy_document" "batches_queue" {
  statement {
    # AWS checks ChangeMessageVisibility for batches too; where the operation's own name is checked, the last is needed.
    actions = [
      "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes",
      "sqs:ChangeMessageVisibility", "sqs:ChangeMessageVisibilityBatch",
    ]
    resources = [local.batch_queue_arn]
  }

  statement {
    actions   = ["sqs:SendMessage"]
    resources = local.queue_arn_chunks[0]
  }
}

data "aws_iam_policy_document" "batches_payloads" {
  statement {
    actions   = ["s3:GetObject", "s3:DeleteObject"]
    resources = ["${local.payload_bucket_arn}/uploads/*"]
  }

  statement {
    actions   = ["s3:PutObject"]
    resources = ["${local.payload_bucket_arn}/requests/*/input-*.json"]
  }

  # Without it, S3 also answers 403 for an object that does not exist.
  statement {
    actions   = ["s3:ListBucket"]
    resources = [local.payload_bucket_arn]
  }
}
