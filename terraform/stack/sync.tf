# Synchronous functions: of the models and pools that have `sync`, from their workers' packages, and the routes that they answer.

locals {
  sync = {
    for worker, settings in local.worker_settings : worker => merge(
      local.defaults.sync,
      { memory_mb = settings.memory_mb },
      { for key, value in settings.sync : key => value if value != null },
    ) if settings.sync != null
  }
  sync_names  = { for worker in keys(local.sync) : worker => "${var.name_prefix}-sync-${worker}" }
  sync_models = [for name, worker in local.worker_of : name if contains(keys(local.sync), worker)]

  # Their description has the routes, and those that only the server has.
  sync_paths = jsondecode(file("${path.module}/../../lambda/sync_openapi.json")).paths
  sync_operations = flatten([for path, item in local.sync_paths : [
    for method, operation in item : "${upper(method)} ${path}" if !can(operation["x-server"])
  ]])
  sync_routes = merge([for name in local.sync_models : {
    for route in local.sync_operations :
    replace(route, "{model}", name) => { open = false, function = module.sync[local.worker_of[name]].function }
  }]...)
}

module "sync" {
  source   = "../modules/sync"
  for_each = local.sync

  name    = local.sync_names[each.key]
  label   = contains(keys(var.pools), each.key) ? "Pool ${each.key}" : "Model ${each.key}"
  models  = { for name, model in local.model_settings : name => { source = model.source, artifact = model.artifact } if local.worker_of[name] == each.key }
  package = local.worker_settings[each.key].package

  read_policy = module.worker[each.key].read_policy

  architecture         = var.architecture
  memory_mb            = each.value.memory_mb
  ephemeral_storage_mb = local.worker_settings[each.key].ephemeral_storage_mb
  timeout_seconds      = each.value.timeout_seconds
  max_body_bytes       = local.requests.max_body_bytes
  max_body_depth       = local.requests.max_body_depth
  max_batch_items      = each.value.max_batch_items
  reserved_concurrency = each.value.reserved_concurrency
  warmth               = local.warmth["sync-${each.key}"]
  rollout              = local.rollouts["sync-${each.key}"]

  environment        = local.worker_settings[each.key].environment
  log_level          = var.log_level
  log_retention_days = var.log_retention_days
  tracing            = local.monitoring.tracing
  kms_key_arn        = var.kms_key_arn
  vpc                = local.function_vpc
}
