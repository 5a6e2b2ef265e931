mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name                 = "inference-test-sync-sentiment"
  label                = "Model sentiment"
  models               = { sentiment = { source = "sentiment" } }
  package              = { zip = { path = "main.tf", handler = "worker.handler.handler", runtime = "python3.13" } }
  read_policy          = null
  architecture         = "x86_64"
  memory_mb            = 1769
  ephemeral_storage_mb = 512
  timeout_seconds      = 29
  max_body_bytes       = 4500000
  max_body_depth       = 32
  max_batch_items      = null
  reserved_concurrency = null
  warmth               = {}
  rollout              = {}
  environment          = {}
  log_level            = "INFO"
  log_retention_days   = 30
  tracing              = false
  kms_key_arn          = null
  vpc                  = null
}

run "valid" {
  command = plan

  assert {
    condition     = output.function.name == var.name
    error_message = "these are valid"
  }
}

run "invalid_1" {
  command = plan
  expect_failures = [
    var.name,
    var.models,
    var.package,
    var.architecture,
    var.memory_mb,
    var.ephemeral_storage_mb,
    var.timeout_seconds,
    var.max_batch_items,
    var.reserved_concurrency,
    var.log_level,
  ]

  variables {
    # capitals
    name = "Sync"
    # no model
    models = {}
    # no package
    package = {}
    # architecture unknown
    architecture = "riscv"
    # too little memory
    memory_mb = 64
    # less than Lambda has
    ephemeral_storage_mb = 100
    # longer than HTTP API waits
    timeout_seconds = 30
    # no item
    max_batch_items = 0
    # rejects every call
    reserved_concurrency = 0
    # level unknown
    log_level = "LOUD"
  }
}
