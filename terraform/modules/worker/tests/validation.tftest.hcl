# One run with everything valid, then runs that break each validation once. A run breaks several variables, since each
# run costs a second: it passes only if every variable in expect_failures fails, and nothing else does.

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

run "valid" {
  command = plan

  assert {
    condition     = aws_lambda_event_source_mapping.queue.batch_size == 10
    error_message = "ten messages make a batch"
  }
}

run "invalid_1" {
  command = plan
  expect_failures = [
    var.name,
    var.package,
    var.models,
    var.queue_arn,
    var.architecture,
    var.memory_mb,
    var.ephemeral_storage_mb,
    var.timeout_seconds,
    var.batch_size,
    var.maximum_concurrency,
    var.retry,
    var.log_level,
    var.log_retention_days,
  ]

  variables {
    # name with capitals
    name = "Worker"
    # package of nothing
    package = {}
    # artifact by https
    models = { sentiment = { source = "sentiment", artifact = "https://bucket.s3.amazonaws.com/model.pt" } }
    # queue by name
    queue_arn = "inference-test-sentiment"
    # architecture unknown
    architecture = "riscv"
    # memory too small
    memory_mb = 127
    # disk too large
    ephemeral_storage_mb = 10241
    # timeout too short for the timeout handler
    timeout_seconds = 2
    # batch of none
    batch_size = 0
    # maximum concurrency of one
    maximum_concurrency = 1
    # retry base above maximum
    retry = { base_seconds = 10, max_seconds = 5 }
    # log level unknown
    log_level = "LOUD"
    # log retention unknown
    log_retention_days = 8
  }
}

run "invalid_2" {
  command = plan
  expect_failures = [
    var.models,
    var.batch_window_seconds,
    var.maximum_concurrency,
    var.retry,
  ]

  variables {
    # artifact of a whole bucket
    models = { sentiment = { source = "sentiment", artifact = "s3://bucket/*" } }
    # window too long
    batch_window_seconds = 301
    # maximum concurrency too large
    maximum_concurrency = 1001
    # retry beyond sqs
    retry = { base_seconds = 2, max_seconds = 43201 }
  }
}

run "model_with_capitals" {
  command         = plan
  expect_failures = [var.models]

  variables {
    models = { Sentiment = { source = "sentiment" } }
  }
}

run "model_named_as_a_dlq" {
  command         = plan
  expect_failures = [var.models]

  variables {
    models = { sentiment-dlq = { source = "sentiment" } }
  }
}

run "source_too_long" {
  command         = plan
  expect_failures = [var.models]

  variables {
    models = { sentiment = { source = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" } }
  }
}

run "batch_too_large" {
  command         = plan
  expect_failures = [var.batch_size]

  variables {
    batch_size           = 10001
    batch_window_seconds = 1
  }
}

run "large_batch_without_window" {
  command         = plan
  expect_failures = [var.batch_window_seconds]

  variables {
    batch_size = 11
  }
}

run "reserved_without_room_for_pings" {
  command         = plan
  expect_failures = [var.reserved_concurrency]

  variables {
    maximum_concurrency  = 5
    reserved_concurrency = 6
    warmth               = { warmer = { environments = 2, schedule = "rate(5 minutes)" } }
  }
}

run "reserved_below_maximum" {
  command         = plan
  expect_failures = [var.reserved_concurrency]

  variables {
    maximum_concurrency  = 5
    reserved_concurrency = 4
  }
}

run "invalid_3" {
  command         = plan
  expect_failures = [var.models, var.read_buckets]

  variables {
    # a prefix without a slash
    read_buckets = ["s3://bucket/inputs"]
    # digest cut short
    models = { sentiment = { source = "sentiment", artifact = "s3://bucket/model.pt#sha256=12" } }
  }
}

run "invalid_4" {
  command         = plan
  expect_failures = [var.read_buckets, var.environment]

  variables {
    # a place twice
    read_buckets = ["s3://bucket/inputs/", "s3://bucket/inputs/"]
    # a name that Lambda sets
    environment = { AWS_REGION = "eu-west-1" }
  }
}

run "invalid_5" {
  command         = plan
  expect_failures = [var.read_buckets, var.environment]

  variables {
    # a policy's variable
    read_buckets = ["s3://bucket/$${aws:userid}/"]
    # a name that no function may have
    environment = { "with-hyphen" = "1" }
  }
}

run "invalid_6" {
  command         = plan
  expect_failures = [var.read_kms_key_arns, var.environment]

  variables {
    # key by alias
    models            = { sentiment = { source = "sentiment", artifact = "s3://bucket/model.pt" } }
    read_kms_key_arns = ["arn:aws:kms:eu-west-1:123456789012:alias/inputs"]
    # a name that the stack sets
    environment = { QUEUE_URL = "https://another" }
  }
}

run "key_for_nothing" {
  command         = plan
  expect_failures = [var.read_kms_key_arns]

  variables {
    read_kms_key_arns = ["arn:aws:kms:eu-west-1:123456789012:key/1"]
  }
}

run "no_model" {
  command         = plan
  expect_failures = [var.models]

  variables {
    models = {}
  }
}

run "backend_kind" {
  command         = plan
  expect_failures = [var.backend]

  variables {
    # a provider that there is none of
    backend = {
      settings = {
        kind             = "banana"
        endpoint         = "abc123"
        token_secret_arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:runpod-AbCdEf"
        poll_seconds     = { min = 2, max = 120 }
        callbacks        = true
      }
      api_url          = "https://api.example.com"
      deadline_seconds = 86400
    }
  }
}

run "backend_no_kind" {
  command         = plan
  expect_failures = [var.backend]

  variables {
    # none
    backend = {
      settings = {
        kind             = null
        endpoint         = "abc123"
        token_secret_arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:runpod-AbCdEf"
        poll_seconds     = { min = 2, max = 120 }
        callbacks        = true
      }
      api_url          = "https://api.example.com"
      deadline_seconds = 86400
    }
  }
}

run "backend_endpoint" {
  command         = plan
  expect_failures = [var.backend]

  variables {
    # which endpoint
    backend = {
      settings = {
        kind             = "runpod"
        token_secret_arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:runpod-AbCdEf"
        poll_seconds     = { min = 2, max = 120 }
        callbacks        = true
      }
      api_url          = "https://api.example.com"
      deadline_seconds = 86400
    }
  }
}

run "backend_url" {
  command         = plan
  expect_failures = [var.backend]

  variables {
    # where the server is
    backend = {
      settings = {
        kind             = "cog"
        token_secret_arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:runpod-AbCdEf"
        poll_seconds     = { min = 2, max = 120 }
        callbacks        = true
      }
      api_url          = "https://api.example.com"
      deadline_seconds = 86400
    }
  }
}

run "backend_plain_url" {
  command         = plan
  expect_failures = [var.backend]

  variables {
    # the token would be sent in the clear
    backend = {
      settings = {
        kind             = "runpod"
        endpoint         = "abc123"
        url              = "http://gpu.example.com"
        token_secret_arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:runpod-AbCdEf"
        poll_seconds     = { min = 2, max = 120 }
        callbacks        = true
      }
      api_url          = "https://api.example.com"
      deadline_seconds = 86400
    }
  }
}

run "backend_plain_api_url" {
  command         = plan
  expect_failures = [var.backend]

  variables {
    # the same
    backend = {
      settings = {
        kind             = "beam"
        endpoint         = "abc123"
        url              = "https://app.beam.cloud"
        api_url          = "http://api.example.com"
        token_secret_arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:runpod-AbCdEf"
        poll_seconds     = { min = 2, max = 120 }
        callbacks        = true
      }
      api_url          = "https://api.example.com"
      deadline_seconds = 86400
    }
  }
}

run "backend_token" {
  command         = plan
  expect_failures = [var.backend]

  variables {
    # a token itself
    backend = {
      settings = {
        kind             = "runpod"
        endpoint         = "abc123"
        token_secret_arn = "r8_abc"
        poll_seconds     = { min = 2, max = 120 }
        callbacks        = true
      }
      api_url          = "https://api.example.com"
      deadline_seconds = 86400
    }
  }
}

run "backend_key" {
  command         = plan
  expect_failures = [var.backend]

  variables {
    # an alias
    backend = {
      settings = {
        kind             = "runpod"
        endpoint         = "abc123"
        token_secret_arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:runpod-AbCdEf"
        poll_seconds     = { min = 2, max = 120 }
        callbacks        = true
      }
      token_kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:alias/tokens"
      api_url           = "https://api.example.com"
      deadline_seconds  = 86400
    }
  }
}

run "backend_poll_seconds" {
  command         = plan
  expect_failures = [var.backend]

  variables {
    # most below least
    backend = {
      settings = {
        kind             = "runpod"
        endpoint         = "abc123"
        token_secret_arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:runpod-AbCdEf"
        poll_seconds     = { min = 10, max = 5 }
        callbacks        = true
      }
      api_url          = "https://api.example.com"
      deadline_seconds = 86400
    }
  }
}

run "backend_poll_seconds_that_forget" {
  command         = plan
  expect_failures = [var.backend]

  variables {
    # a result is gone before
    backend = {
      settings = {
        kind             = "runpod"
        endpoint         = "abc123"
        token_secret_arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:runpod-AbCdEf"
        poll_seconds     = { min = 2, max = 901 }
        callbacks        = true
      }
      api_url          = "https://api.example.com"
      deadline_seconds = 86400
    }
  }
}

run "backend_looks" {
  command         = plan
  expect_failures = [var.backend]

  variables {
    # a day of looks every minute
    backend = {
      settings = {
        kind             = "runpod"
        endpoint         = "abc123"
        token_secret_arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:runpod-AbCdEf"
        poll_seconds     = { min = 2, max = 60 }
        callbacks        = true
      }
      api_url          = "https://api.example.com"
      deadline_seconds = 86400
    }
  }
}

run "backend_cog_without_callbacks" {
  command         = plan
  expect_failures = [var.backend]

  variables {
    # nothing tells the outcome
    backend = {
      settings = {
        kind             = "cog"
        url              = "https://gpu.example.com"
        token_secret_arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:runpod-AbCdEf"
        poll_seconds     = { min = 2, max = 120 }
        callbacks        = false
      }
      api_url          = "https://api.example.com"
      deadline_seconds = 86400
    }
  }
}
