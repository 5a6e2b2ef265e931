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

run "least" {
  assert {
    condition     = jsonencode(local.package) == jsonencode({ image = null, zip = { handler = "worker.sync.handler.handler", path = "main.tf", runtime = "python3.13" } })
    error_message = "the worker's package must be started at the synchronous handler"
  }

  assert {
    condition     = local.own_environment == { LOG_LEVEL = "INFO", MAX_BODY_BYTES = "4500000", MAX_BODY_DEPTH = "32", MODELS = "{\"sentiment\":\"sentiment\"}" }
    error_message = "the function's settings must be complete"
  }

  assert {
    condition     = output.function.name == "inference-test-sync-sentiment" && output.function.alias_name == "live"
    error_message = "routes must invoke the alias"
  }
}

run "everything" {
  variables {
    package              = { image = { uri = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/inference-test-worker@sha256:1111111111111111111111111111111111111111111111111111111111111111" } }
    models               = { sentiment = { source = "sentiment", artifact = "s3://models/sentiment.onnx" }, other = { source = "sentiment" } }
    read_policy          = "{\"Version\":\"2012-10-17\",\"Statement\":[]}"
    max_batch_items      = 50
    reserved_concurrency = 3
    environment          = { THREADS = "2", LOG_LEVEL = "lost" }
    kms_key_arn          = "arn:aws:kms:eu-west-1:123456789012:key/1"
  }

  assert {
    condition     = jsonencode(local.package.image.command) == jsonencode(["worker.sync.handler.handler"]) && local.package.zip == null
    error_message = "the worker's image must be started at the synchronous handler"
  }

  assert {
    condition     = local.own_environment["MAX_BATCH_ITEMS"] == "50" && jsondecode(local.own_environment["MODEL_ARTIFACTS"]) == { sentiment = "s3://models/sentiment.onnx" } && local.own_environment["LOG_LEVEL"] == "INFO"
    error_message = "what is set must reach the function"
  }
}
