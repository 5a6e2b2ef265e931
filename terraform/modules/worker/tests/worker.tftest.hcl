mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name      = "inference-test-worker-sentiment"
  label     = "Model sentiment"
  pool      = null
  models    = { sentiment = { source = "sentiment" } }
  package   = { zip = { path = "main.tf", handler = "worker.handler.handler", runtime = "python3.13" } }
  queue     = { name = "inference-test-sentiment", url = "https://sqs.eu-west-1.amazonaws.com/123456789012/inference-test-sentiment" }
  queue_arn = "arn:aws:sqs:eu-west-1:123456789012:inference-test-sentiment"
  table     = { name = "inference-test-requests", arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/inference-test-requests" }
  payloads  = { name = "inference-test-payloads", arn = "arn:aws:s3:::inference-test-payloads" }

  backend              = null
  read_buckets         = []
  read_kms_key_arns    = []
  sources              = []
  architecture         = "x86_64"
  memory_mb            = 1769
  ephemeral_storage_mb = 512
  timeout_seconds      = 60
  batch_size           = 10
  batch_window_seconds = 0
  maximum_concurrency  = null
  warmth               = {}
  rollout              = {}
  reserved_concurrency = null
  retry                = { base_seconds = 2, max_seconds = 300 }
  environment          = {}
  log_level            = "INFO"
  log_retention_days   = 30
  metrics_environment  = null
  tracing              = false
  kms_key_arn          = null
  vpc                  = null
}

run "least" {
  assert {
    condition     = aws_lambda_event_source_mapping.queue.function_name == module.function.alias_arn && endswith(module.function.alias_arn, ":live")
    error_message = "the mapping must invoke the alias: on $LATEST warm instances stay unused"
  }

  assert {
    condition     = aws_lambda_event_source_mapping.queue.event_source_arn == var.queue_arn
    error_message = "the mapping must read the worker's queue"
  }

  assert {
    condition     = aws_lambda_event_source_mapping.queue.function_response_types == toset(["ReportBatchItemFailures"])
    error_message = "one bad message must not return its batch to the queue"
  }

  assert {
    condition     = length(aws_lambda_event_source_mapping.queue.scaling_config) == 0
    error_message = "null is no limit"
  }

  assert {
    condition     = data.aws_iam_policy_document.queue.statement[0].resources == toset([var.queue_arn]) && data.aws_iam_policy_document.table.statement[0].resources == toset([var.table.arn])
    error_message = "the worker may use its own queue and the request table, and no other"
  }

  assert {
    condition     = toset(keys(local.policies)) == toset(["payloads", "queue", "table"])
    error_message = "with the artifact in the package the worker reads no bucket but that of the payloads"
  }

  assert {
    condition = local.environment == {
      CODE_DIGEST        = "sha256:${filesha256("main.tf")}"
      LOG_LEVEL          = "INFO"
      MODELS             = "{\"sentiment\":\"sentiment\"}"
      PAYLOAD_BUCKET     = "inference-test-payloads"
      QUEUE_URL          = var.queue.url
      REQUEST_TABLE      = "inference-test-requests"
      RETRY_BASE_SECONDS = "2"
      RETRY_MAX_SECONDS  = "300"
    }
    error_message = "the worker's settings must be complete"
  }
}

run "everything" {
  variables {
    package              = { image = { uri = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/inference-test-worker@sha256:1111111111111111111111111111111111111111111111111111111111111111" } }
    models               = { sentiment = { source = "sentiment", artifact = "s3://models/sentiment/1.0.0.pt#sha256=0000000000000000000000000000000000000000000000000000000000000000" }, other = { source = "sentiment" } }
    batch_size           = 50
    batch_window_seconds = 1
    maximum_concurrency  = 4
    reserved_concurrency = 4
    warmth               = { provisioned = 1 }
    environment          = { THREADS = "2", http_proxy = "proxy" }
    metrics_environment  = "inference-test"
    read_buckets         = ["s3://models/inputs/", "s3://uploads/"]
    read_kms_key_arns    = ["arn:aws:kms:eu-west-1:123456789012:key/1", "arn:aws:kms:us-east-1:123456789012:key/2"]
  }

  assert {
    condition     = one(aws_lambda_event_source_mapping.queue.scaling_config).maximum_concurrency == 4
    error_message = "what is over the limit must wait in the queue"
  }

  assert {
    condition     = aws_lambda_event_source_mapping.queue.batch_size == 50 && aws_lambda_event_source_mapping.queue.maximum_batching_window_in_seconds == 1
    error_message = "batch size and window must reach the mapping"
  }

  assert {
    condition     = data.aws_iam_policy_document.read[0].statement[0].resources == toset(["arn:aws:s3:::models/sentiment/1.0.0.pt", "arn:aws:s3:::models/inputs/*", "arn:aws:s3:::uploads/*"]) && contains(keys(local.policies), "read")
    error_message = "the worker may read its artifact and what is below read_buckets, and nothing else of a bucket"
  }

  assert {
    condition = alltrue([
      for bucket, prefixes in { models = ["sentiment/1.0.0.pt", "inputs/*"], uploads = ["*"] } : [tolist(prefixes)] == [
        for statement in data.aws_iam_policy_document.read[0].statement : one(statement.condition).values
        if contains(statement.actions, "s3:ListBucket") && contains(statement.resources, "arn:aws:s3:::${bucket}")
      ]
    ])
    error_message = "the worker may list what it may read, so that a missing object is not rejected as a secret one"
  }

  assert {
    condition = alltrue([for statement in data.aws_iam_policy_document.read[0].statement :
      statement.resources == toset(var.read_kms_key_arns) && one(statement.condition).values == tolist(["s3.eu-west-1.amazonaws.com", "s3.us-east-1.amazonaws.com"])
      if contains(statement.actions, "kms:Decrypt")
    ]) && length(data.aws_iam_policy_document.read[0].statement) == 4
    error_message = "the keys may be used by way of S3 alone, each in its region"
  }

  assert {
    condition     = jsondecode(local.environment["MODELS"]) == { other = "sentiment", sentiment = "sentiment" } && local.environment["THREADS"] == "2" && local.environment["http_proxy"] == "proxy" && jsondecode(local.environment["MODEL_ARTIFACTS"]) == { sentiment = var.models.sentiment.artifact }
    error_message = "a model's own variables are added, and replace nothing"
  }

  assert {
    condition     = local.environment["CODE_DIGEST"] == "sha256:1111111111111111111111111111111111111111111111111111111111111111"
    error_message = "an image's digest is the one that it is deployed by"
  }

  assert {
    condition     = local.environment["METRICS_ENVIRONMENT"] == "inference-test"
    error_message = "the worker must write metrics where it is asked to"
  }
}

# What is checked is the function module's business; here, that all of it gets there, with its defaults.
run "warm" {
  variables {
    maximum_concurrency  = 5
    reserved_concurrency = 6
    warmth               = { warmer = { environments = 1, schedule = "rate(5 minutes)" } }
  }

  assert {
    condition     = local.pings == 1
    error_message = "a ping needs an environment of the reserved ones"
  }
}

run "canary" {
  variables {
    rollout = { canary = 0.1, kept = { version = "6", rejected = [], package_type = "Zip" } }
  }

  assert {
    condition     = output.canary_alarm == "inference-test-worker-sentiment-canary" && endswith(aws_lambda_event_source_mapping.queue.function_name, ":live")
    error_message = "the queue must invoke the alias, which has the weights, and the alarm must be told"
  }
}

run "dispatcher" {
  variables {
    backend = {
      settings = {
        kind             = "runpod"
        endpoint         = "abc123"
        token_secret_arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:runpod-AbCdEf"
        poll_seconds     = { min = 2, max = 120 }
        callbacks        = true
      }
      token_kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/1"
      api_url           = "https://api.example.com"
      deadline_seconds  = 86400
    }
  }

  assert {
    condition     = jsondecode(local.environment.BACKENDS) == { sentiment = { kind = "runpod", endpoint = "abc123", token_secret_arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:runpod-AbCdEf", poll_seconds = { min = 2, max = 120 }, callbacks = true } } && local.environment.API_URL == "https://api.example.com"
    error_message = "the dispatcher must know the provider, and what it calls"
  }

  assert {
    condition     = data.aws_iam_policy_document.token[0].statement[0].actions == toset(["secretsmanager:GetSecretValue"]) && data.aws_iam_policy_document.token[0].statement[0].resources == toset([var.backend.settings.token_secret_arn]) && contains(keys(local.policies), "token")
    error_message = "the dispatcher must be able to read the token, and no other secret"
  }

  assert {
    condition     = data.aws_iam_policy_document.token[0].statement[1].resources == toset(["arn:aws:kms:eu-west-1:123456789012:key/1"]) && one(data.aws_iam_policy_document.token[0].statement[1].condition).values == tolist(["secretsmanager.eu-west-1.amazonaws.com"])
    error_message = "the secret's key must be usable by way of Secrets Manager alone"
  }

  assert {
    condition     = data.aws_iam_policy_document.table.statement[0].actions == toset(["dynamodb:GetItem", "dynamodb:UpdateItem"])
    error_message = "the dispatcher must be able to read what a request waits for"
  }
}

run "dispatcher_that_is_not_called" {
  variables {
    backend = {
      settings = {
        kind             = "modal"
        url              = "http://127.0.0.1:8000"
        token_secret_arn = "arn:aws:ssm:eu-west-1:123456789012:parameter/modal/token"
        poll_seconds     = { min = 5, max = 900 }
        callbacks        = false
      }
      api_url          = "https://api.example.com"
      deadline_seconds = 604800
    }
  }

  assert {
    condition     = !contains(keys(local.environment), "API_URL") && length(data.aws_iam_policy_document.token[0].statement) == 1 && data.aws_iam_policy_document.token[0].statement[0].actions == toset(["ssm:GetParameter"])
    error_message = "without callbacks no address is given out; a parameter is read from SSM"
  }
}

run "no_dispatcher" {
  assert {
    condition     = length(data.aws_iam_policy_document.token) == 0 && output.token_policy == null && !contains(keys(local.environment), "BACKENDS") && data.aws_iam_policy_document.table.statement[0].actions == toset(["dynamodb:UpdateItem", "dynamodb:PartiQLUpdate"])
    error_message = "a worker that runs models itself must have nothing of a dispatcher"
  }
}
