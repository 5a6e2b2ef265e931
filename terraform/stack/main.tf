locals {
  lambda_package = "${local.packages_dir}/lambda.zip"

  # SQS must not delete a message before its request's deadline has passed; four days is SQS's default.
  queue_retention_seconds = max(345600, local.requests.deadline_seconds)

  # The routes are those of the API's description. What else a path may hold in OpenAPI, such as parameters, is no method.
  openapi       = jsondecode(file("${path.module}/../../lambda/openapi.json"))
  openapi_paths = local.openapi.paths
  error_codes   = local.openapi.components.schemas.Error.properties.code.enum
  routes = flatten([for path, item in local.openapi_paths : [
    for method in setintersection(keys(item), ["get", "post", "put", "patch", "delete", "head"]) : "${upper(method)} ${path}"
    if !contains(local.paths_without_route, path)
  ]])

  paths_without_route = concat(
    local.requests.list_by_caller ? [] : ["/requests"],
    local.api.docs == "off" ? ["/docs", "/openapi.json"] : [],
    var.webhooks == null ? ["/requests/{request_id}/webhook", "/batches/{batch_id}/webhook"] : [],
  )

  # What GET /openapi.json says of this deployment.
  deployed_json = jsonencode({
    authorizer   = local.authorizer.type
    without      = local.paths_without_route
    open_paths   = local.opened_paths
    memory_mb    = local.other_memory_mb
    architecture = var.architecture
    sync         = local.sync_models
  })

  served_pools_json = jsonencode({ for pool in keys(var.pools) : pool => module.worker[pool].models })

  # Those of functions of their own.
  extra_routes = merge(
    local.sync_routes,
    { for function in module.callbacks : local.callbacks_route => { open = true, function = function } },
  )

  # Those that the description asks no credentials for.
  opened_paths = local.api.docs == "open" ? ["/openapi.json"] : []
  open_routes = [
    for route in local.routes : route
    if contains(local.opened_paths, split(" ", route)[1]) || try(length(local.openapi_paths[split(" ", route)[1]][lower(split(" ", route)[0])].security) == 0, false)
  ]
}

module "container_registry" {
  source = "../modules/container_registry"

  name          = "${var.name_prefix}-worker"
  function_arns = [for kind in concat(["worker"], length(local.sync) == 0 ? [] : ["sync"]) : "arn:${local.partition}:lambda:${local.region_and_account}:function:${var.name_prefix}-${kind}-*"]
  force_delete  = !var.deletion_protection
  kms_key_arn   = var.kms_key_arn
}

module "request_table" {
  source = "../modules/request_table"

  name                = local.table_name
  list_by_caller      = local.requests.list_by_caller
  deletion_protection = var.deletion_protection
  stream              = var.webhooks != null || local.writes_results
  kms_key_arn         = var.kms_key_arn
}

module "request_queue" {
  source   = "../modules/request_queue"
  for_each = local.workers

  name                   = local.queue_names[each.key]
  worker_timeout_seconds = local.worker_settings[each.key].timeout_seconds
  batch_window_seconds   = local.worker_settings[each.key].batch_window_seconds
  dead_letter_queue_arn  = module.dead_letter_queue.arn
  max_receive_count      = contains(local.backend_names, each.key) ? local.dispatcher_max_receive_count : local.requests.max_receive_count
  retention_seconds      = local.queue_retention_seconds
  sender_rule_arns       = []
  tls_only               = var.tls_only
  kms_key_arn            = var.kms_key_arn
}

module "worker" {
  source   = "../modules/worker"
  for_each = local.workers

  name    = local.worker_names[each.key]
  pool    = contains(keys(var.pools), each.key) ? each.key : null
  label   = contains(keys(var.pools), each.key) ? "Pool ${each.key}" : "Model ${each.key}"
  models  = { for name, model in local.model_settings : name => { source = model.source, artifact = model.artifact } if local.worker_of[name] == each.key }
  package = local.worker_settings[each.key].package

  backend = !contains(local.backend_names, each.key) ? null : {
    settings          = local.backend_settings[each.key]
    token_kms_key_arn = local.backends[each.key].token_kms_key_arn
    api_url           = coalesce(var.api_url, module.http_api.url)
    deadline_seconds  = local.requests.deadline_seconds
  }

  read_buckets      = local.worker_settings[each.key].read_buckets
  read_kms_key_arns = local.worker_settings[each.key].read_kms_key_arns
  sources           = local.worker_sources[each.key]

  queue     = { name = local.queue_names[each.key], url = "${local.queue_url_prefix}${each.key}" }
  queue_arn = module.request_queue[each.key].arn
  table     = { arn = local.table_arn, name = module.request_table.name }
  payloads  = { arn = local.payload_bucket_arn, name = module.payload_bucket.name }

  architecture         = var.architecture
  memory_mb            = local.worker_settings[each.key].memory_mb
  ephemeral_storage_mb = local.worker_settings[each.key].ephemeral_storage_mb
  timeout_seconds      = local.worker_settings[each.key].timeout_seconds
  batch_size           = local.worker_settings[each.key].batch_size
  batch_window_seconds = local.worker_settings[each.key].batch_window_seconds
  maximum_concurrency  = local.worker_settings[each.key].maximum_concurrency
  warmth               = local.warmth["worker-${each.key}"]
  rollout              = local.rollouts["worker-${each.key}"]
  reserved_concurrency = local.worker_settings[each.key].reserved_concurrency
  retry = {
    base_seconds = local.requests.retry_base_seconds
    max_seconds  = local.requests.retry_max_seconds
  }

  environment         = local.worker_settings[each.key].environment
  log_level           = var.log_level
  log_retention_days  = var.log_retention_days
  metrics_environment = local.monitoring.metrics ? var.name_prefix : null
  tracing             = local.monitoring.tracing
  kms_key_arn         = var.kms_key_arn
  vpc                 = local.function_vpc
}

module "api" {
  source = "../modules/function"

  name                 = local.function_names.api
  description          = "Accepts requests and tells their status."
  package              = { zip = { path = local.lambda_package, handler = "api.handler", runtime = local.defaults.zip.runtime } }
  architecture         = var.architecture
  memory_mb            = local.api.memory_mb
  ephemeral_storage_mb = local.default_ephemeral_storage_mb
  timeout_seconds      = local.api.timeout_seconds
  warmth               = local.warmth["api"]
  rollout              = local.rollouts["api"]
  reserved_concurrency = null
  log_retention_days   = var.log_retention_days
  tracing              = local.monitoring.tracing
  invocation_lines     = local.invocation_lines
  key                  = local.keys.api
  vpc                  = local.function_vpc

  environment = merge(local.metrics_environment, local.webhook_environment, {
    REQUEST_TABLE            = module.request_table.name
    LOG_LEVEL                = var.log_level
    MODELS                   = module.sweeper.environment.MODELS                                                # the sweeper ends requests of models that it does not know
    POOLS                    = local.compresses ? base64gzip(local.served_pools_json) : local.served_pools_json # a pool's worker returns messages of models that it does not have
    DEFAULT_MODEL            = var.default_model
    QUEUE_URL_PREFIX         = local.queue_url_prefix
    MAX_BODY_BYTES           = tostring(local.requests.max_body_bytes)
    MAX_BODY_DEPTH           = tostring(local.requests.max_body_depth)
    MAX_ATTEMPTS             = tostring(local.requests.max_attempts)
    REQUEST_DEADLINE_SECONDS = tostring(local.requests.deadline_seconds)
    RETENTION_SECONDS        = tostring(local.requests.retention_seconds)
    MAX_WAIT_SECONDS         = tostring(local.api.max_wait_seconds)
    CALLER_IDENTITY          = local.authorizer.caller
    PAYLOAD_BUCKET           = module.payload_bucket.name
    LINK_SECONDS             = tostring(local.requests.link_seconds)
    MAX_UPLOAD_BYTES         = tostring(local.requests.max_upload_bytes)
    MAX_BATCH_ITEMS          = tostring(local.requests.max_batch_items)
    BATCH_QUEUE_URL          = module.batches.environment.BATCH_QUEUE_URL # the batches function must know a model before the api takes a file for it
    DEPLOYED                 = local.compresses ? base64gzip(local.deployed_json) : local.deployed_json
  })

  attached_policies = local.more_queues["SendMessage"]
  policies = {
    table    = data.aws_iam_policy_document.api_table.json
    queue    = data.aws_iam_policy_document.api_queue.json
    payloads = data.aws_iam_policy_document.api_payloads.json
  }
}

module "http_api" {
  source = "../modules/http_api"

  name               = var.name_prefix
  routes             = local.routes
  open_routes        = local.open_routes
  extra_routes       = local.extra_routes
  throttling         = local.throttling
  cors               = local.cors
  log_retention_days = local.monitoring.access_log ? var.log_retention_days : null
  kms_key_arn        = var.kms_key_arn

  authorizer = {
    type          = local.authorizer.type
    issuer        = local.authorizer.issuer
    audience      = local.authorizer.audience
    cache_seconds = local.has_api_keys ? local.authorizer.cache_seconds : null
    function = !local.has_api_keys ? null : {
      name             = module.authorizer[0].name
      alias_name       = module.authorizer[0].alias_name
      alias_invoke_arn = module.authorizer[0].alias_invoke_arn
    }
  }

  function = {
    name             = module.api.name
    alias_name       = module.api.alias_name
    alias_invoke_arn = module.api.alias_invoke_arn
  }
}
