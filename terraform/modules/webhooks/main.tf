# What announces a final request or batch: the table's stream -> relay -> queue -> deliverer -> the client's URL, and a dead-letter queue for
# what could not be delivered. Why it is so, and what a crash leaves at each step: docs/adr/0013-webhooks.md.

data "aws_partition" "current" {}
data "aws_caller_identity" "current" {}

# For its region: the attribute of aws_region differs between version 5 and 6 of the provider.
data "aws_service" "sqs" {
  service_id = "sqs"
}

locals {
  queue_name = "${var.name}-webhooks"
  dlq_name   = "${local.queue_name}-dlq"

  # Built from names: the rights are granted, and seen in the plan, before the queues exist.
  queue_arn_prefix = "arn:${data.aws_partition.current.partition}:sqs:${data.aws_service.sqs.region}:${data.aws_caller_identity.current.account_id}"
  queue_arn        = "${local.queue_arn_prefix}:${local.queue_name}"
  dlq_arn          = "${local.queue_arn_prefix}:${local.dlq_name}"
  url_prefix       = "https://${data.aws_service.sqs.dns_name}/${data.aws_caller_identity.current.account_id}"
  queue_url        = "${local.url_prefix}/${local.queue_name}"
  dlq_url          = "${local.url_prefix}/${local.dlq_name}"

  # An attempt takes 10 s at most, and the calls to AWS around it some more (inference/webhooks/sender.py).
  deliverer_timeout_seconds = 30
  relay_timeout_seconds     = 30

  # Three attempts have short delays, which are receives of one message; the others are throttled ones and killed processes.
  max_receive_count = 10

  # The stream's ARN has its time of creation in it, which is not known before.
  stream_pattern = "${var.table.arn}/stream/*"

  secret_service = split(":", var.secret_arn)[2] # secretsmanager or ssm
  secret_key     = var.secret_kms_key_arn == null ? [] : [var.secret_kms_key_arn]

  metrics_environment = var.metrics_environment == null ? {} : { METRICS_ENVIRONMENT = var.metrics_environment }
  keys = { for function, services in { relay = ["dynamodb", "sqs"], deliverer = ["dynamodb", "s3", "sqs"] } :
    function => var.kms_key_arn == null ? null : { arn = var.kms_key_arn, decrypts_by = services, encrypts_by = ["sqs"] }
  }

  final = ["succeeded", "failed", "cancelled", "expired"]

  # What starts the relay: a final request with a webhook, a final item of a batch with one, a batch with one.
  stream_patterns = [
    { eventName = ["MODIFY"], dynamodb = { NewImage = { status = { S = local.final }, webhook_state = { S = ["waiting"] } } } },
    { eventName = ["MODIFY"], dynamodb = { NewImage = { status = { S = local.final }, webhook_of = { S = ["batch"] } } } },
    { eventName = ["MODIFY"], dynamodb = { Keys = { request_id = { S = [{ prefix = "batch/" }] } }, NewImage = { webhook_state = { S = ["waiting"] } } } },
  ]

  options_json = jsonencode({ default_url = var.default_url, allow_loopback = var.allow_loopback })
}

module "dead_letter_queue" {
  source = "../dead_letter_queue"

  name                     = local.dlq_name
  source_names             = [local.queue_name]
  consumer_timeout_seconds = local.deliverer_timeout_seconds # nobody consumes it; an operator's redrive does
  tls_only                 = var.tls_only
  kms_key_arn              = var.kms_key_arn
}

module "queue" {
  source = "../request_queue"

  name                   = local.queue_name
  worker_timeout_seconds = local.deliverer_timeout_seconds
  batch_window_seconds   = 0
  dead_letter_queue_arn  = module.dead_letter_queue.arn
  max_receive_count      = local.max_receive_count
  retention_seconds      = 345600 # four days; the record says what is due, and the sweeper sends another message
  sender_rule_arns       = []
  tls_only               = var.tls_only
  kms_key_arn            = var.kms_key_arn
}

data "aws_iam_policy_document" "relay_stream" {
  statement {
    actions   = ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams"]
    resources = [local.stream_pattern]
  }
}

# Whether a batch is final.
data "aws_iam_policy_document" "relay_table" {
  statement {
    actions   = ["dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:UpdateItem"]
    resources = [var.table.arn]
  }
}

data "aws_iam_policy_document" "relay_queue" {
  statement {
    actions   = ["sqs:SendMessage"]
    resources = [local.queue_arn]
  }
}

module "relay" {
  source = "../function"

  name                 = "${var.name}-relay"
  description          = "Puts requests and batches that became final with a webhook on the deliverer's queue."
  package              = { zip = { path = var.package.path, handler = "relay.handler", runtime = var.package.runtime } }
  architecture         = var.architecture
  memory_mb            = var.memory_mb
  ephemeral_storage_mb = var.ephemeral_storage_mb
  timeout_seconds      = local.relay_timeout_seconds
  warmth               = {}
  rollout              = {}
  reserved_concurrency = null
  log_retention_days   = var.log_retention_days
  tracing              = var.tracing
  invocation_lines     = var.log_level == "DEBUG"
  key                  = local.keys.relay
  vpc                  = var.vpc

  environment = merge(local.metrics_environment, {
    REQUEST_TABLE     = var.table.name
    LOG_LEVEL         = var.log_level
    WEBHOOK_QUEUE_URL = local.queue_url
  })

  attached_policies = {}
  policies = {
    stream = data.aws_iam_policy_document.relay_stream.json
    table  = data.aws_iam_policy_document.relay_table.json
    queue  = data.aws_iam_policy_document.relay_queue.json
  }
}

resource "aws_lambda_event_source_mapping" "relay" {
  event_source_arn        = var.table.stream_arn
  function_name           = module.relay.alias_arn
  starting_position       = "TRIM_HORIZON" # what became final since the stream is there is announced, too
  batch_size              = 100
  function_response_types = ["ReportBatchItemFailures"]

  # A batch that fails is repeated until its records expire after 24 h; what was lost then is the sweeper's.
  bisect_batch_on_function_error = true

  # Lambda reads the stream without charge, and starts no function for what the filters keep back: a request or a batch without a
  # webhook, and each write of a request before the last. Every write while webhook_state is waiting would pass: the deliverer's claim
  # ends that.
  filter_criteria {
    dynamic "filter" {
      for_each = local.stream_patterns

      content {
        pattern = jsonencode(filter.value)
      }
    }
  }
}

data "aws_iam_policy_document" "deliverer_table" {
  statement {
    actions   = ["dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:UpdateItem"]
    resources = [var.table.arn]
  }
}

data "aws_iam_policy_document" "deliverer_queue" {
  statement {
    # AWS checks ChangeMessageVisibility for batches too; where the operation's own name is checked, the last is needed.
    actions = [
      "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes",
      "sqs:ChangeMessageVisibility", "sqs:ChangeMessageVisibilityBatch",
    ]
    resources = [local.queue_arn]
  }

  statement {
    actions   = ["sqs:SendMessage"]
    resources = [local.dlq_arn]
  }
}

# Links to the files of a result: the function's own right, lent for some minutes.
data "aws_iam_policy_document" "deliverer_payloads" {
  statement {
    actions   = ["s3:GetObject"]
    resources = ["${var.payloads.arn}/requests/*/attempt-*"]
  }
}

data "aws_iam_policy_document" "deliverer_secret" {
  statement {
    actions   = [local.secret_service == "ssm" ? "ssm:GetParameter" : "secretsmanager:GetSecretValue"]
    resources = [var.secret_arn]
  }

  dynamic "statement" {
    for_each = local.secret_key

    content {
      actions   = ["kms:Decrypt"]
      resources = [statement.value]

      condition {
        test     = "StringEquals"
        variable = "kms:ViaService"
        values   = ["${local.secret_service}.${split(":", var.secret_arn)[3]}.${data.aws_partition.current.dns_suffix}"]
      }
    }
  }
}

module "deliverer" {
  source = "../function"

  name                 = "${var.name}-deliverer"
  description          = "Sends the webhooks of final requests and batches."
  package              = { zip = { path = var.package.path, handler = "deliverer.handler", runtime = var.package.runtime } }
  architecture         = var.architecture
  memory_mb            = var.memory_mb
  ephemeral_storage_mb = var.ephemeral_storage_mb
  timeout_seconds      = local.deliverer_timeout_seconds
  warmth               = {}
  rollout              = {}
  reserved_concurrency = null
  log_retention_days   = var.log_retention_days
  tracing              = var.tracing
  invocation_lines     = var.log_level == "DEBUG"
  key                  = local.keys.deliverer
  vpc                  = var.vpc

  environment = merge(local.metrics_environment, {
    REQUEST_TABLE                 = var.table.name
    PAYLOAD_BUCKET                = var.payloads.name
    LINK_SECONDS                  = tostring(var.link_seconds)
    LOG_LEVEL                     = var.log_level
    POOLS                         = var.pools_json
    WEBHOOK_QUEUE_URL             = local.queue_url
    WEBHOOK_DEAD_LETTER_QUEUE_URL = local.dlq_url
    WEBHOOK_SECRET_ARN            = var.secret_arn
    WEBHOOKS                      = local.options_json
  })

  attached_policies = {}
  policies = {
    table    = data.aws_iam_policy_document.deliverer_table.json
    queue    = data.aws_iam_policy_document.deliverer_queue.json
    payloads = data.aws_iam_policy_document.deliverer_payloads.json
    secret   = data.aws_iam_policy_document.deliverer_secret.json
  }
}

resource "aws_lambda_event_source_mapping" "deliverer" {
  event_source_arn        = module.queue.arn
  function_name           = module.deliverer.alias_arn
  batch_size              = 10 # which are sent at the same time
  function_response_types = ["ReportBatchItemFailures"]

  scaling_config {
    maximum_concurrency = var.maximum_concurrency
  }
}
