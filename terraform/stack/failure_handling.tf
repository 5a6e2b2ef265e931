# Functions that end requests when no worker does: dead_letters, for messages in a dead-letter queue, and the sweeper, for
# requests without a message.

module "dead_letter_queue" {
  source = "../modules/dead_letter_queue"

  name                     = local.dlq_name
  source_names             = concat(values(local.queue_names), [local.batch_queue_name])
  consumer_timeout_seconds = local.dead_letters.timeout_seconds
  tls_only                 = var.tls_only
  kms_key_arn              = var.kms_key_arn
}

module "dead_letters" {
  source = "../modules/function"

  name                 = local.function_names.dead_letters
  description          = "Ends requests, and the creation of batches, whose messages are in a dead-letter queue."
  package              = { zip = { path = local.lambda_package, handler = "dead_letters.handler", runtime = local.defaults.zip.runtime } }
  architecture         = var.architecture
  memory_mb            = local.dead_letters.memory_mb
  ephemeral_storage_mb = local.default_ephemeral_storage_mb
  timeout_seconds      = local.dead_letters.timeout_seconds
  warmth               = {}
  rollout              = {}
  reserved_concurrency = null
  log_retention_days   = var.log_retention_days
  tracing              = local.monitoring.tracing
  invocation_lines     = local.invocation_lines
  key                  = local.keys.dead_letters
  vpc                  = local.function_vpc

  environment = merge(local.metrics_environment, {
    REQUEST_TABLE           = module.request_table.name
    LOG_LEVEL               = var.log_level
    MODELS                  = local.models_text
    POOLS                   = local.pools_text
    WORKER_LOG_GROUP_PREFIX = "/aws/lambda/${var.name_prefix}-worker-"
  })

  attached_policies = {}
  policies = {
    table = data.aws_iam_policy_document.dead_letters_table.json
    queue = data.aws_iam_policy_document.dead_letters_queue.json
    logs  = data.aws_iam_policy_document.dead_letters_logs.json
  }
}

resource "aws_lambda_event_source_mapping" "dead_letters" {
  event_source_arn        = module.dead_letter_queue.arn
  function_name           = module.dead_letters.alias_arn
  batch_size              = 10
  function_response_types = ["ReportBatchItemFailures"]
}

module "sweeper" {
  source = "../modules/function"

  name                 = local.function_names.sweeper
  description          = "Ends requests that are neither in a queue nor leased, and has webhooks sent that are due."
  package              = { zip = { path = local.lambda_package, handler = "sweeper.handler", runtime = local.defaults.zip.runtime } }
  architecture         = var.architecture
  memory_mb            = local.sweeper.memory_mb
  ephemeral_storage_mb = local.default_ephemeral_storage_mb
  timeout_seconds      = local.sweeper.timeout_seconds
  warmth               = {}
  rollout              = {}
  reserved_concurrency = null
  log_retention_days   = var.log_retention_days
  tracing              = local.monitoring.tracing
  invocation_lines     = local.invocation_lines
  key                  = local.keys.sweeper
  vpc                  = local.function_vpc

  environment = merge(local.metrics_environment, local.webhook_queue_environment, {
    REQUEST_TABLE       = module.request_table.name
    LOG_LEVEL           = var.log_level
    MODELS              = local.models_text
    POOLS               = local.pools_text
    QUEUE_URL_PREFIX    = local.queue_url_prefix
    SWEEP_GRACE_SECONDS = tostring(local.sweeper.grace_seconds)
  })

  attached_policies = local.more_queues["GetQueueAttributes"]
  policies = {
    table = data.aws_iam_policy_document.sweeper_table.json
    queue = data.aws_iam_policy_document.sweeper_queue.json
  }
}

resource "aws_cloudwatch_event_rule" "sweep" {
  name                = "${var.name_prefix}-sweep"
  description         = "Starts the sweeper."
  schedule_expression = local.sweeper.schedule
}

resource "aws_cloudwatch_event_target" "sweep" {
  rule = aws_cloudwatch_event_rule.sweep.name
  arn  = module.sweeper.alias_arn
}

resource "aws_lambda_permission" "sweep" {
  function_name = module.sweeper.name
  qualifier     = module.sweeper.alias_name
  action        = "lambda:InvokeFunction"
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.sweep.arn
}
