# From objects in S3 to requests: EventBridge rules -> queue -> intake function, and a dead-letter queue for events that no trigger takes.
# Where a trigger wants results in S3: the table's stream -> results function. Why it is so, and what a crash leaves at each step:
# docs/adr/0019-triggers.md.

data "aws_partition" "current" {}
data "aws_caller_identity" "current" {}

# For its region: the attribute of aws_region differs between version 5 and 6 of the provider.
data "aws_service" "sqs" {
  service_id = "sqs"
}

locals {
  queue_name = "${var.name}-intake"
  dlq_name   = "${local.queue_name}-dlq"
  rule_names = { for name in keys(var.triggers) : name => "${var.name}-trigger-${name}" }

  # Built from names: the rights are granted, and seen in the plan, before the queues exist.
  region_and_account = "${data.aws_service.sqs.region}:${data.aws_caller_identity.current.account_id}"
  arn_prefix         = "arn:${data.aws_partition.current.partition}"
  queue_arn          = "${local.arn_prefix}:sqs:${local.region_and_account}:${local.queue_name}"
  dlq_arn            = "${local.arn_prefix}:sqs:${local.region_and_account}:${local.dlq_name}"
  rule_arns          = { for name, rule in local.rule_names : name => "${local.arn_prefix}:events:${local.region_and_account}:rule/${rule}" }
  queue_url          = "https://${data.aws_service.sqs.dns_name}/${data.aws_caller_identity.current.account_id}/${local.queue_name}"

  # A parent, its requests' records and messages: less than a second, unless AWS is slow.
  intake_timeout_seconds  = 30
  results_timeout_seconds = 120 # a hundred outcomes, whose files S3 copies

  # Events that wait for AWS come back after 30 s to 15 minutes: two hours and a half.
  max_receive_count = 12

  results      = { for name, trigger in var.triggers : name => trigger.results if trigger.results != null }
  has_results  = length(local.results) > 0
  results_arns = distinct([for place in values(local.results) : "${local.arn_prefix}:s3:::${place.bucket}/${place.prefix}*"])
  results_buckets = { for bucket in distinct(values(local.results)[*].bucket) : bucket => [
    for place in values(local.results) : "${place.prefix}*" if place.bucket == bucket
  ] }
  results_key_arns = distinct(compact(values(local.results)[*].kms_key_arn))

  final = ["succeeded", "failed", "cancelled", "expired"]

  metrics_environment = var.metrics_environment == null ? {} : { METRICS_ENVIRONMENT = var.metrics_environment }
  triggers_json = jsonencode({ for name, trigger in var.triggers : name => merge(
    { for key, value in trigger : key => value if value != null && !contains(["results", "input_json"], key) },
    { input = jsondecode(trigger.input_json) },
    { for place in trigger.results[*] : "results" => { bucket = place.bucket, prefix = place.prefix } },
  ) })
  keys = { for function, services in {
    intake  = { decrypts_by = ["dynamodb", "sqs"], encrypts_by = ["sqs"] }
    results = { decrypts_by = ["dynamodb", "s3", "sqs"], encrypts_by = ["s3", "sqs"] }
  } : function => var.kms_key_arn == null ? null : merge({ arn = var.kms_key_arn }, services) }
}

resource "aws_cloudwatch_event_rule" "object_created" {
  for_each = var.triggers

  name        = local.rule_names[each.key]
  description = "Objects in s3://${each.value.bucket}/${each.value.prefix} become requests of ${join(", ", each.value.models)}."

  # A suffix is one pattern together with the prefix: two patterns of a list would let through what fits either.
  event_pattern = jsonencode({
    source      = ["aws.s3"]
    detail-type = ["Object Created"]
    detail = {
      bucket = { name = [each.value.bucket] }
      object = { key = [
        each.value.suffix == "" ? { prefix = each.value.prefix } :
        { wildcard = "${replace(replace(each.value.prefix, "\\", "\\\\"), "*", "\\*")}*${replace(replace(each.value.suffix, "\\", "\\\\"), "*", "\\*")}" }
      ] }
    }
  })
}

resource "aws_cloudwatch_event_target" "queue" {
  for_each = var.triggers

  rule = aws_cloudwatch_event_rule.object_created[each.key].name
  arn  = module.queue.arn
}

module "dead_letter_queue" {
  source = "../dead_letter_queue"

  name                     = local.dlq_name
  source_names             = [local.queue_name]
  consumer_timeout_seconds = local.intake_timeout_seconds # nobody consumes it; an operator's redrive does
  tls_only                 = var.tls_only
  kms_key_arn              = var.kms_key_arn
}

module "queue" {
  source = "../request_queue"

  name                   = local.queue_name
  worker_timeout_seconds = local.intake_timeout_seconds # six times that is below sweeper.grace_seconds: a killed intake is completed before its requests count as lost
  batch_window_seconds   = 0
  dead_letter_queue_arn  = module.dead_letter_queue.arn
  max_receive_count      = local.max_receive_count
  retention_seconds      = 1209600 # the longest that SQS has: an event is all that there is of an object
  sender_rule_arns       = values(local.rule_arns)
  tls_only               = var.tls_only
  kms_key_arn            = var.kms_key_arn
}

data "aws_iam_policy_document" "intake_table" {
  statement {
    actions = [
      "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem",
      "dynamodb:BatchGetItem", "dynamodb:PartiQLInsert", "dynamodb:PartiQLUpdate",
    ]
    resources = [var.table.arn]
  }
}

data "aws_iam_policy_document" "intake_queue" {
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
    resources = var.model_queue_arns
  }
}

module "intake" {
  source = "../function"

  name                 = local.queue_name
  description          = "Makes requests of objects in S3."
  package              = { zip = { path = var.package.path, handler = "intake.handler", runtime = var.package.runtime } }
  architecture         = var.architecture
  memory_mb            = var.memory_mb
  ephemeral_storage_mb = var.ephemeral_storage_mb
  timeout_seconds      = local.intake_timeout_seconds
  warmth               = {}
  rollout              = {}
  reserved_concurrency = null
  log_retention_days   = var.log_retention_days
  tracing              = var.tracing
  invocation_lines     = var.log_level == "DEBUG"
  key                  = local.keys.intake
  vpc                  = var.vpc

  environment = merge(local.metrics_environment, var.webhooks_json == null ? {} : { WEBHOOKS = var.webhooks_json }, {
    REQUEST_TABLE            = var.table.name
    LOG_LEVEL                = var.log_level
    MODELS                   = var.models.models_json
    POOLS                    = var.models.pools_json
    DEFAULT_MODEL            = var.models.default_model
    MEMORY_MB                = var.models.memory_mb_json
    QUEUE_URL_PREFIX         = var.models.queue_url_prefix
    PAYLOAD_BUCKET           = var.payloads.name
    MAX_ATTEMPTS             = tostring(var.limits.max_attempts)
    REQUEST_DEADLINE_SECONDS = tostring(var.limits.deadline_seconds)
    RETENTION_SECONDS        = tostring(var.limits.retention_seconds)
    TRIGGERS                 = local.triggers_json
    INTAKE_QUEUE_URL         = local.queue_url
  })

  attached_policies = {}
  policies = {
    table = data.aws_iam_policy_document.intake_table.json
    queue = data.aws_iam_policy_document.intake_queue.json
  }
}

resource "aws_lambda_event_source_mapping" "intake" {
  event_source_arn        = module.queue.arn
  function_name           = module.intake.alias_arn
  batch_size              = 10
  function_response_types = ["ReportBatchItemFailures"]

  scaling_config {
    maximum_concurrency = var.maximum_concurrency
  }
}

# Results in S3

data "aws_iam_policy_document" "results_stream" {
  count = local.has_results ? 1 : 0

  statement {
    actions   = ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams"]
    resources = ["${var.table.arn}/stream/*"] # its time of creation is in the ARN, which is not known before
  }

  # Where Lambda tells of records that it gave up.
  statement {
    actions   = ["sqs:SendMessage"]
    resources = [local.dlq_arn]
  }
}

data "aws_iam_policy_document" "results_table" {
  count = local.has_results ? 1 : 0

  statement {
    actions   = ["dynamodb:GetItem"]
    resources = [var.table.arn]
  }
}

data "aws_iam_policy_document" "results_objects" {
  count = local.has_results ? 1 : 0

  statement {
    actions   = ["s3:GetObject"]
    resources = ["${var.payloads.arn}/requests/*/attempt-*"]
  }

  statement {
    actions   = ["s3:GetObject", "s3:PutObject"]
    resources = local.results_arns
  }

  # Without it, S3 answers 403 for an object that does not exist, as for one that may not be read.
  statement {
    actions   = ["s3:ListBucket"]
    resources = [var.payloads.arn]
  }

  dynamic "statement" {
    for_each = local.results_buckets

    content {
      actions   = ["s3:ListBucket"]
      resources = ["${local.arn_prefix}:s3:::${statement.key}"]

      condition {
        test     = "StringLike"
        variable = "s3:prefix"
        values   = statement.value
      }
    }
  }

  dynamic "statement" {
    for_each = length(local.results_key_arns) == 0 ? [] : [local.results_key_arns]

    content {
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = statement.value

      condition {
        test     = "StringEquals"
        variable = "kms:ViaService"
        values   = distinct([for arn in statement.value : "s3.${split(":", arn)[3]}.${data.aws_partition.current.dns_suffix}"])
      }
    }
  }
}

module "results" {
  source = "../function"
  count  = local.has_results ? 1 : 0

  name                 = "${var.name}-results"
  description          = "Writes outcomes of triggers' requests to S3."
  package              = { zip = { path = var.package.path, handler = "results.handler", runtime = var.package.runtime } }
  architecture         = var.architecture
  memory_mb            = var.memory_mb
  ephemeral_storage_mb = var.ephemeral_storage_mb
  timeout_seconds      = local.results_timeout_seconds
  warmth               = {}
  rollout              = {}
  reserved_concurrency = null
  log_retention_days   = var.log_retention_days
  tracing              = var.tracing
  invocation_lines     = var.log_level == "DEBUG"
  key                  = local.keys.results
  vpc                  = var.vpc

  environment = merge(local.metrics_environment, {
    REQUEST_TABLE  = var.table.name
    LOG_LEVEL      = var.log_level
    PAYLOAD_BUCKET = var.payloads.name
    TRIGGERS       = local.triggers_json
  })

  attached_policies = {}
  policies = {
    stream  = data.aws_iam_policy_document.results_stream[0].json
    table   = data.aws_iam_policy_document.results_table[0].json
    objects = data.aws_iam_policy_document.results_objects[0].json
  }
}

resource "aws_lambda_event_source_mapping" "results" {
  count = local.has_results ? 1 : 0

  event_source_arn        = var.table.stream_arn
  function_name           = module.results[0].alias_arn
  starting_position       = "TRIM_HORIZON"
  batch_size              = 100
  function_response_types = ["ReportBatchItemFailures"]

  # What S3 does not take holds up what comes after it in its shard: for six hours at most, of the 24 that the stream keeps. Then an
  # alarm says so; the table has the outcome.
  bisect_batch_on_function_error = true
  maximum_record_age_in_seconds  = 21600

  destination_config {
    on_failure {
      destination_arn = module.dead_letter_queue.arn
    }
  }

  # Only the end of a request whose trigger writes results.
  filter_criteria {
    filter {
      pattern = jsonencode({ eventName = ["MODIFY"], dynamodb = { NewImage = { status = { S = local.final }, results_of = { S = keys(local.results) } } } })
    }
  }
}
