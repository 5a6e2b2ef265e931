data "aws_partition" "current" {}
data "aws_caller_identity" "current" {}

# For its region: the attribute of aws_region differs between version 5 and 6 of the provider.
data "aws_service" "sqs" {
  service_id = "sqs"
}

locals {
  # Built from the name: the right to read is granted, and seen in the plan, before the queue exists.
  queue_arn = join(":", [
    "arn", data.aws_partition.current.partition, "sqs", data.aws_service.sqs.region,
    data.aws_caller_identity.current.account_id, var.queue.name,
  ])

  artifacts = { for name, model in var.models : name => model.artifact if model.artifact != null }

  # What the worker reads in S3, as bucket and key: an artifact is s3://bucket/key[#sha256=<hex>], a prefix ends in a slash.
  readable = [
    for uri in concat(values(local.artifacts), var.read_buckets) :
    regex("^s3://(?P<bucket>[^/]+)/(?P<key>[^#]*)", uri)
  ]
  read_prefixes = { for bucket in distinct(local.readable[*].bucket) : bucket => [
    for place in local.readable : endswith(place.key, "/") || place.key == "" ? "${place.key}*" : place.key if place.bucket == bucket
  ] }
  source_prefixes   = { for bucket in distinct(var.sources[*].bucket) : bucket => distinct([for source in var.sources : "${source.prefix}*" if source.bucket == bucket]) }
  bucket_arn_prefix = "arn:${data.aws_partition.current.partition}:s3:::"

  # As Lambda's CodeSha256 has it, in hex. A missing zip is reported by the function module.
  code_digest = var.package.image == null ? try("sha256:${filesha256(var.package.zip.path)}", "") : element(split("@", var.package.image.uri), 1)

  reserved_name = join("|", [
    "^AWS_(DEFAULT_)?REGION$", "^AWS_ACCESS_KEY(_ID)?$", "^AWS_SECRET_ACCESS_KEY$", "^AWS_SESSION_TOKEN$",
    "^AWS_EXECUTION_ENV$", "^AWS_LAMBDA_", "^LAMBDA_TASK_ROOT$", "^LAMBDA_RUNTIME_DIR$",
  ])

  own_environment = merge(
    {
      MODELS             = jsonencode({ for name, model in var.models : name => model.source })
      QUEUE_URL          = var.queue.url
      CODE_DIGEST        = local.code_digest
      REQUEST_TABLE      = var.table.name
      PAYLOAD_BUCKET     = var.payloads.name
      LOG_LEVEL          = var.log_level
      RETRY_BASE_SECONDS = tostring(var.retry.base_seconds)
      RETRY_MAX_SECONDS  = tostring(var.retry.max_seconds)
    },
    length(local.artifacts) == 0 ? {} : { MODEL_ARTIFACTS = jsonencode(local.artifacts) },
    var.metrics_environment == null ? {} : { METRICS_ENVIRONMENT = var.metrics_environment },
    var.pool == null ? {} : { POOL = var.pool },
    local.backend_environment,
  )
  environment = merge(var.environment, local.own_environment)

  pings = try(var.warmth.warmer.environments, 0)

  policies = merge(
    {
      queue    = data.aws_iam_policy_document.queue.json
      table    = data.aws_iam_policy_document.table.json
      payloads = data.aws_iam_policy_document.payloads.json
    },
    { for document in data.aws_iam_policy_document.read : "read" => document.json },
    { for document in data.aws_iam_policy_document.sources : "sources" => document.json },
    { for document in data.aws_iam_policy_document.token : "token" => document.json },
  )
}

data "aws_iam_policy_document" "queue" {
  statement {
    # AWS checks ChangeMessageVisibility for batches too; where the operation's own name is checked, the last is needed.
    actions = [
      "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes",
      "sqs:ChangeMessageVisibility", "sqs:ChangeMessageVisibilityBatch",
    ]
    resources = [local.queue_arn]
  }
}

data "aws_iam_policy_document" "table" {
  statement {
    # A dispatcher reads what a request waits for; it writes one at a time.
    actions   = ["dynamodb:UpdateItem", var.backend == null ? "dynamodb:PartiQLUpdate" : "dynamodb:GetItem"]
    resources = [var.table.arn]
  }
}

data "aws_iam_policy_document" "payloads" {
  statement {
    actions   = ["s3:GetObject"]
    resources = ["${var.payloads.arn}/requests/*/input-*.json", "${var.payloads.arn}/uploads/*"]
  }

  # The files of its results; those of an attempt whose outcome was rejected are deleted.
  statement {
    actions   = ["s3:PutObject", "s3:DeleteObject"]
    resources = ["${var.payloads.arn}/requests/*/attempt-*"]
  }

  # Without it, S3 answers 403 for an object that does not exist, as for one that may not be read.
  statement {
    actions   = ["s3:ListBucket"]
    resources = [var.payloads.arn]
  }
}

data "aws_iam_policy_document" "read" {
  count = length(local.readable) == 0 ? 0 : 1

  statement {
    actions   = ["s3:GetObject"]
    resources = flatten([for bucket, keys in local.read_prefixes : [for key in keys : "${local.bucket_arn_prefix}${bucket}/${key}"]])
  }

  # Without the right to list, S3 answers 403 for an object that does not exist, as for one that may not be read.
  dynamic "statement" {
    for_each = local.read_prefixes

    content {
      actions   = ["s3:ListBucket"]
      resources = ["${local.bucket_arn_prefix}${statement.key}"]

      condition {
        test     = "StringLike"
        variable = "s3:prefix"
        values   = statement.value
      }
    }
  }

  # Only by way of S3, which has its key in its own region.
  dynamic "statement" {
    for_each = length(var.read_kms_key_arns) == 0 ? [] : [var.read_kms_key_arns]

    content {
      actions   = ["kms:Decrypt"]
      resources = statement.value

      condition {
        test     = "StringEquals"
        variable = "kms:ViaService"
        values   = distinct([for arn in statement.value : "s3.${split(":", arn)[3]}.${data.aws_partition.current.dns_suffix}"])
      }
    }
  }
}

# The objects that triggers take: by version, where their bucket has versions.
data "aws_iam_policy_document" "sources" {
  count = length(var.sources) == 0 ? 0 : 1

  statement {
    actions   = ["s3:GetObject", "s3:GetObjectVersion"]
    resources = flatten([for bucket, prefixes in local.source_prefixes : [for prefix in prefixes : "${local.bucket_arn_prefix}${bucket}/${prefix}"]])
  }

  # Without it, S3 answers 403 for an object that was deleted.
  dynamic "statement" {
    for_each = local.source_prefixes

    content {
      actions   = ["s3:ListBucket"]
      resources = ["${local.bucket_arn_prefix}${statement.key}"]

      condition {
        test     = "StringLike"
        variable = "s3:prefix"
        values   = statement.value
      }
    }
  }

  dynamic "statement" {
    for_each = length(compact(var.sources[*].kms_key_arn)) == 0 ? [] : [distinct(compact(var.sources[*].kms_key_arn))]

    content {
      actions   = ["kms:Decrypt"]
      resources = statement.value

      condition {
        test     = "StringEquals"
        variable = "kms:ViaService"
        values   = distinct([for arn in statement.value : "s3.${split(":", arn)[3]}.${data.aws_partition.current.dns_suffix}"])
      }
    }
  }
}

module "function" {
  source = "../function"

  name                 = var.name
  description          = "${var.label}: runs the requests of its queue."
  package              = var.package
  architecture         = var.architecture
  memory_mb            = var.memory_mb
  ephemeral_storage_mb = var.ephemeral_storage_mb
  timeout_seconds      = var.timeout_seconds
  environment          = local.environment
  attached_policies    = {}
  policies             = local.policies
  warmth               = var.warmth
  rollout              = var.rollout
  reserved_concurrency = var.reserved_concurrency
  log_retention_days   = var.log_retention_days
  tracing              = var.tracing
  invocation_lines     = true # dead_letters reads there why an invocation was killed
  key                  = var.kms_key_arn == null ? null : { arn = var.kms_key_arn, decrypts_by = ["dynamodb", "s3", "sqs"], encrypts_by = ["s3"] }
  vpc                  = var.vpc
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
