# Objects in S3 that become requests, where the deployment has triggers. Without, nothing here exists.

locals {
  results_defaults = { bucket = null, prefix = "", kms_key_arn = null, cdn = null }
  results_keys     = keys(local.results_defaults)
  cdn_keys         = ["price_class"]

  # Ten events at a time, each a few calls of DynamoDB and SQS.
  intake_memory_mb           = 512
  intake_maximum_concurrency = 10

  # The bucket that is made for triggers that name none. Its names are shared by all accounts.
  object_bucket_name = "${var.name_prefix}-objects-${data.aws_caller_identity.current.account_id}-${data.aws_service.sqs.region}"

  given_triggers = { for name, trigger in var.triggers : name => merge(local.defaults.triggers, { for key, value in trigger : key => value if value != null }) }
  triggers = { for name, trigger in local.given_triggers : name => merge(trigger, {
    bucket = trigger.bucket == null ? local.object_bucket_name : trigger.bucket
    caller = trigger.caller == null ? "anonymous" : trigger.caller
    results = trigger.results == null ? null : {
      bucket      = coalesce(try(trigger.results.bucket, null), trigger.bucket, local.object_bucket_name)
      prefix      = try(coalesce(trigger.results.prefix), "")
      kms_key_arn = try(trigger.results.kms_key_arn, null)
      cdn         = try(trigger.results.cdn, null)
    }
  }) }

  has_object_bucket = anytrue([for trigger in local.given_triggers : trigger.bucket == null])
  writes_results    = anytrue([for trigger in local.triggers : trigger.results != null])

  # With CloudFront in front of them.
  published = { for name, trigger in local.triggers : name => trigger.results if try(trigger.results.cdn, null) != null }

  triggered_models = distinct(flatten([for trigger in local.triggers : trigger.models]))

  # What each worker may read.
  worker_sources = { for worker in local.workers : worker => [
    for trigger in local.triggers : { bucket = trigger.bucket, prefix = trigger.prefix, kms_key_arn = trigger.kms_key_arn }
    if anytrue([for model in trigger.models : local.worker_of[model] == worker])
  ] }
}

module "object_bucket" {
  source = "../modules/payload_bucket"
  count  = local.has_object_bucket ? 1 : 0

  name           = local.object_bucket_name
  retention_days = null                         # they are the user's
  versions_days  = local.payload_retention_days # longer than any request that may read one
  events         = true
  cors_origins   = []
  force_destroy  = !var.deletion_protection
  tls_only       = var.tls_only
  kms_key_arn    = var.kms_key_arn
  cdn            = length(local.published) == 0 ? null : { distribution_arn = module.results_cdn[0].arn, prefixes = distinct(values(local.published)[*].prefix) }
}

module "results_cdn" {
  source = "../modules/results_cdn"
  count  = length(local.published) == 0 ? 0 : 1

  name               = "${var.name_prefix}-results"
  bucket_domain_name = "${local.object_bucket_name}.s3.${data.aws_service.sqs.region}.${data.aws_partition.current.dns_suffix}"
  price_class        = reverse(sort([for results in local.published : try(coalesce(results.cdn.price_class), "PriceClass_100")]))[0]
}

module "triggers" {
  source = "../modules/triggers"
  count  = length(local.triggers) == 0 ? 0 : 1

  name = var.name_prefix
  triggers = { for name, trigger in local.triggers : name => {
    bucket     = trigger.bucket
    prefix     = trigger.prefix
    suffix     = trigger.suffix
    models     = trigger.models
    caller     = trigger.caller
    place      = trigger.place
    input_json = jsonencode(trigger.input)
    webhook    = trigger.webhook
    results    = trigger.results
  } }
  table    = { arn = local.table_arn, name = module.request_table.name, stream_arn = local.writes_results ? module.request_table.stream_arn : null }
  payloads = { arn = local.payload_bucket_arn, name = module.payload_bucket.name }
  models = {
    models_json      = module.sweeper.environment.MODELS # the sweeper ends requests of models that it does not know
    pools_json       = local.pools_text
    default_model    = var.default_model
    memory_mb_json   = local.compresses ? base64gzip(jsonencode(local.other_memory_mb)) : jsonencode(local.other_memory_mb)
    queue_url_prefix = local.queue_url_prefix
  }
  model_queue_arns = distinct([for model in local.triggered_models : "arn:${local.partition}:sqs:${local.region_and_account}:${local.queue_names[local.worker_of[model]]}"])
  limits = {
    max_attempts      = local.requests.max_attempts
    deadline_seconds  = local.requests.deadline_seconds
    retention_seconds = local.requests.retention_seconds
  }
  webhooks_json = try(local.webhook_environment.WEBHOOKS, null)

  package              = { path = local.lambda_package, runtime = local.defaults.zip.runtime }
  architecture         = var.architecture
  memory_mb            = local.intake_memory_mb
  ephemeral_storage_mb = local.default_ephemeral_storage_mb
  maximum_concurrency  = local.intake_maximum_concurrency
  log_level            = var.log_level
  log_retention_days   = var.log_retention_days
  metrics_environment  = local.monitoring.metrics ? var.name_prefix : null
  tracing              = local.monitoring.tracing
  tls_only             = var.tls_only
  kms_key_arn          = var.kms_key_arn
  vpc                  = local.function_vpc
}
