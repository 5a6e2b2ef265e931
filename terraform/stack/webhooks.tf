# Webhooks, where the deployment has them. Without, the table has no stream, and nothing here exists.

module "webhooks" {
  source = "../modules/webhooks"
  count  = var.webhooks == null ? 0 : 1

  name  = var.name_prefix
  table = { arn = local.table_arn, name = module.request_table.name, stream_arn = module.request_table.stream_arn }

  payloads     = { arn = local.payload_bucket_arn, name = module.payload_bucket.name }
  link_seconds = local.requests.link_seconds

  secret_arn         = local.webhooks.secret_arn
  secret_kms_key_arn = local.webhooks.secret_kms_key_arn
  default_url        = local.webhooks.default_url
  allow_loopback     = local.webhooks.allow_loopback

  package              = { path = local.lambda_package, runtime = local.defaults.zip.runtime }
  architecture         = var.architecture
  memory_mb            = local.webhooks.memory_mb
  ephemeral_storage_mb = local.default_ephemeral_storage_mb
  maximum_concurrency  = local.webhooks.maximum_concurrency
  pools_json           = local.pools_text
  log_level            = var.log_level
  log_retention_days   = var.log_retention_days
  metrics_environment  = local.monitoring.metrics ? var.name_prefix : null
  tracing              = local.monitoring.tracing
  tls_only             = var.tls_only
  kms_key_arn          = var.kms_key_arn
  vpc                  = local.function_vpc
}

locals {
  # By single outputs, which are known before the queues exist: the whole module would make the other functions wait for it.
  webhook_environment       = var.webhooks == null ? {} : { WEBHOOKS = module.webhooks[0].options_json }
  webhook_queue_environment = var.webhooks == null ? {} : { WEBHOOK_QUEUE_URL = module.webhooks[0].queue_url }
  webhook_queue_arns        = var.webhooks == null ? [] : [module.webhooks[0].queue_arn]
}
