# The API keys, where they are what callers have: their table, and the function that API Gateway asks. Terraform makes no key.

module "key_table" {
  source = "../modules/key_table"
  count  = local.has_api_keys ? 1 : 0

  name                = local.key_table_name
  deletion_protection = var.deletion_protection
  kms_key_arn         = var.kms_key_arn
}

module "authorizer" {
  source = "../modules/function"
  count  = local.has_api_keys ? 1 : 0

  name                 = local.function_names.authorizer
  description          = "Says whether an API key is accepted, and whose it is."
  package              = { zip = { path = local.lambda_package, handler = "authorizer.handler", runtime = local.defaults.zip.runtime } }
  architecture         = var.architecture
  memory_mb            = local.api.memory_mb # a call waits for both functions to start
  ephemeral_storage_mb = local.default_ephemeral_storage_mb
  timeout_seconds      = 9 # API Gateway waits 10 s for an authorizer
  warmth               = {}
  rollout              = {}
  reserved_concurrency = null
  log_retention_days   = var.log_retention_days
  tracing              = local.monitoring.tracing
  invocation_lines     = local.invocation_lines
  key                  = local.keys.authorizer
  vpc                  = local.function_vpc

  environment = {
    KEY_TABLE = module.key_table[0].name
    LOG_LEVEL = var.log_level
  }

  attached_policies = {}
  policies = {
    keys = data.aws_iam_policy_document.authorizer_keys[0].json
  }
}

# It reads one key by its hash. No function may write one.
data "aws_iam_policy_document" "authorizer_keys" {
  count = local.has_api_keys ? 1 : 0

  statement {
    actions   = ["dynamodb:GetItem"]
    resources = [local.key_table_arn]
  }
}
