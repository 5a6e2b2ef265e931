# Models that run at a GPU provider: their settings, and the function that the providers call. Their workers are dispatchers. Why it
# is so, and what a crash leaves at each step: docs/adr/0020-gpu-dispatcher.md.

locals {
  backend_names = toset([for name, model in var.models : name if try(model.backend, null) != null])

  # Of the environment, else of the model's manifest, else the default.
  backends = { for name in local.backend_names : name => merge(
    local.defaults.backend,
    try(merge(local.manifests[name].backend), {}),
    { for key, value in var.models[name].backend : key => value if value != null },
    { poll_seconds = merge(
      local.defaults.backend.poll_seconds,
      try(merge(local.manifests[name].backend.poll_seconds), {}),
      { for key, value in try(merge(var.models[name].backend.poll_seconds), {}) : key => value if value != null },
    ) },
  ) }

  # What the functions are told of it. Three of them are for `make cost`, which reads them there.
  backend_settings = { for name, backend in local.backends : name => { for key, value in backend : key => value if key != "token_kms_key_arn" } }

  # What a dispatcher is instead of what the model's manifest asks for. One message an invocation: a provider that hangs delays
  # nobody else. An answer may have 32 MB.
  dispatcher = { memory_mb = 512, timeout_seconds = 60, batch_size = 1, batch_window_seconds = 0 }

  # Each look is a receive. The dispatcher itself ends a request whose attempts are used up.
  dispatcher_max_receive_count = 1000

  dispatcher_package = { path = "${local.packages_dir}/dispatcher.zip", handler = "worker.dispatch_handler.handler" }

  called_back = [for name, backend in local.backends : name if backend.callbacks]

  callbacks_route = "POST /callbacks/{model}/{request_id}/{number}/{signature}"
}

module "callbacks" {
  source = "../modules/function"
  count  = length(local.called_back) == 0 ? 0 : 1

  name                 = local.function_names.callbacks
  description          = "Writes the outcome of a run that a GPU provider says is over."
  package              = { zip = { path = local.dispatcher_package.path, handler = "worker.callbacks_handler.handler", runtime = local.defaults.zip.runtime } }
  architecture         = var.architecture
  memory_mb            = local.dispatcher.memory_mb
  ephemeral_storage_mb = local.default_ephemeral_storage_mb
  timeout_seconds      = 29 # API Gateway ends a call after 30
  warmth               = {}
  rollout              = {}
  reserved_concurrency = null
  log_retention_days   = var.log_retention_days
  tracing              = local.monitoring.tracing
  invocation_lines     = local.invocation_lines
  key                  = local.keys.callbacks
  vpc                  = local.function_vpc

  environment = merge(local.metrics_environment, {
    REQUEST_TABLE  = module.request_table.name
    PAYLOAD_BUCKET = module.payload_bucket.name
    LOG_LEVEL      = var.log_level
    MODELS         = jsonencode({ for name in local.called_back : name => local.model_settings[name].source })
    BACKENDS       = jsonencode({ for name in local.called_back : name => { for key, value in local.backend_settings[name] : key => value if value != null } })
  })

  attached_policies = {}
  policies = merge(
    {
      table    = data.aws_iam_policy_document.callbacks_table.json
      payloads = data.aws_iam_policy_document.callbacks_payloads.json
    },
    { for name in local.called_back : "token-${name}" => module.worker[name].token_policy },
  )
}

data "aws_iam_policy_document" "callbacks_table" {
  statement {
    actions   = ["dynamodb:GetItem", "dynamodb:UpdateItem"]
    resources = [local.table_arn]
  }
}

data "aws_iam_policy_document" "callbacks_payloads" {
  statement {
    actions   = ["s3:PutObject", "s3:DeleteObject"]
    resources = ["${local.payload_bucket_arn}/requests/*/attempt-*"]
  }
}
