# What an operator sees of the deployment, and what calls one.

locals {
  metrics_environment = local.monitoring.metrics ? { METRICS_ENVIRONMENT = var.name_prefix } : {}

  # Beside a worker's, which dead_letters reads: docs/adr/0022-cost-per-request.md.
  invocation_lines = var.log_level == "DEBUG"
}

module "monitoring" {
  source = "../modules/monitoring"

  name      = var.name_prefix
  metrics   = local.monitoring.metrics
  dashboard = local.monitoring.dashboard
  alarms    = local.monitoring.alarms
  emails    = local.monitoring.emails

  kms_key_arn = var.kms_key_arn

  workers = { for name, worker in local.worker_settings : name => {
    queue           = local.queue_names[name]
    function        = local.worker_names[name]
    timeout_seconds = worker.timeout_seconds
    alarms          = local.monitoring.alarm_models == null ? true : anytrue([for model in local.monitoring.alarm_models : local.worker_of[model] == name])
  } }
  dead_letter_queue         = local.dlq_name
  webhook_dead_letter_queue = one(module.webhooks[*].dead_letter_queue_name)
  intake_dead_letter_queue  = one(module.triggers[*].dead_letter_queue_name)

  functions      = merge(local.function_names, concat(module.webhooks[*].function_names, module.triggers[*].function_names)...)
  sync_functions = local.sync_names
  api_id         = module.http_api.id

  error_codes            = local.error_codes
  sweeper_schedule       = local.sweeper.schedule
  oldest_message_seconds = local.monitoring.oldest_message_seconds
  failed_share           = local.monitoring.failed_share
}
