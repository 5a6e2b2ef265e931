locals {
  artifacts = { for name, model in var.models : name => model.artifact if model.artifact != null }

  # The worker's package, started at another function in it.
  handler = "worker.sync.handler.handler"
  package = {
    zip   = try({ path = var.package.zip.path, handler = local.handler, runtime = var.package.zip.runtime }, null)
    image = try({ uri = var.package.image.uri, command = [local.handler] }, null)
  }

  own_environment = merge(
    {
      MODELS         = jsonencode({ for name, model in var.models : name => model.source })
      LOG_LEVEL      = var.log_level
      MAX_BODY_BYTES = tostring(var.max_body_bytes)
      MAX_BODY_DEPTH = tostring(var.max_body_depth)
    },
    var.max_batch_items == null ? {} : { MAX_BATCH_ITEMS = tostring(var.max_batch_items) },
    length(local.artifacts) == 0 ? {} : { MODEL_ARTIFACTS = jsonencode(local.artifacts) },
  )
}

module "function" {
  source = "../function"

  name                 = var.name
  description          = "${var.label}: predicts for callers that wait."
  package              = local.package
  architecture         = var.architecture
  memory_mb            = var.memory_mb
  ephemeral_storage_mb = var.ephemeral_storage_mb
  timeout_seconds      = var.timeout_seconds
  environment          = merge(var.environment, local.own_environment)
  attached_policies    = {}
  policies             = var.read_policy == null ? {} : { read = var.read_policy }
  warmth               = var.warmth
  rollout              = var.rollout
  reserved_concurrency = var.reserved_concurrency
  log_retention_days   = var.log_retention_days
  tracing              = var.tracing
  invocation_lines     = var.log_level == "DEBUG"
  key                  = var.kms_key_arn == null ? null : { arn = var.kms_key_arn, decrypts_by = var.read_policy == null ? [] : ["s3"], encrypts_by = [] }
  vpc                  = var.vpc
}
