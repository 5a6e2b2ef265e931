# One run with everything valid, then runs that break each validation once. A run breaks several variables, since each
# run costs a second: it passes only if every variable in expect_failures fails, and nothing else does.

mock_provider "aws" {
  source = "../mocks"
}

variables {
  name_prefix   = "inference-test"
  models        = { sentiment = {} }
  default_model = "sentiment"
  models_dir    = "tests/models"
  packages_dir  = "tests/packages"
}

run "valid" {
  command = plan

  assert {
    condition     = output.default_model == "sentiment"
    error_message = "the default model is told"
  }
}

run "invalid_1" {
  command = plan
  expect_failures = [
    var.name_prefix,
    var.worker_images,
    var.architecture,
    var.requests,
    var.api,
    var.sweeper,
    var.authorizer,
    var.log_level,
    var.log_retention_days,
  ]

  variables {
    # prefix too long
    name_prefix = "aaaaaaaaaaaaaaaaaaaaaaaaaa"
    # image of no model
    worker_images = { sentiment = "r@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", tiny = "r@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" }
    # architecture unknown
    architecture = "riscv"
    # body too large
    requests = { max_body_bytes = 131073 }
    # api slower than its caller
    api = { timeout_seconds = 30 }
    # sweeper with bad plural
    sweeper = { schedule = "rate(1 minutes)" }
    # authorizer unknown
    authorizer = { type = "CUSTOM" }
    # log level unknown
    log_level = "LOUD"
    # log retention unknown
    log_retention_days = 8
  }
}

run "invalid_2" {
  command         = plan
  expect_failures = [var.name_prefix, var.worker_images, var.requests, var.sweeper]

  variables {
    # prefix that ends in a hyphen
    name_prefix = "inference-"
    # image by tag
    worker_images = { sentiment = "repository:latest" }
    # body too deep
    requests = { max_body_depth = 101 }
    # sweeper too eager
    sweeper = { grace_seconds = 29 }
  }
}

run "api_too_short_for_its_calls" {
  command         = plan
  expect_failures = [var.api]

  variables {
    api = { timeout_seconds = 6 }
  }
}

run "session_callers_without_iam" {
  command         = plan
  expect_failures = [var.authorizer]

  variables {
    authorizer = { type = "NONE", caller = "session" }
  }
}

run "caller_unknown" {
  command         = plan
  expect_failures = [var.authorizer]

  variables {
    authorizer = { type = "AWS_IAM", caller = "user" }
  }
}

run "no_attempt" {
  command         = plan
  expect_failures = [var.requests]

  variables {
    requests = { max_attempts = 0 }
  }
}

run "attempts_not_below_receives" {
  command         = plan
  expect_failures = [var.requests]

  variables {
    requests = { max_attempts = 8, max_receive_count = 8 }
  }
}

run "too_few_receives" {
  command         = plan
  expect_failures = [var.requests]

  variables {
    requests = { max_attempts = 2, max_receive_count = 4 }
  }
}

run "deadline_too_short" {
  command         = plan
  expect_failures = [var.requests]

  variables {
    requests = { deadline_seconds = 59 }
  }
}

run "deadline_beyond_sqs" {
  command         = plan
  expect_failures = [var.requests]

  variables {
    requests = { deadline_seconds = 1209601, retention_seconds = 1209601 }
  }
}

run "retention_below_deadline" {
  command         = plan
  expect_failures = [var.requests]

  variables {
    requests = { deadline_seconds = 3600, retention_seconds = 3599 }
  }
}

run "retry_base_above_maximum" {
  command         = plan
  expect_failures = [var.requests]

  variables {
    requests = { retry_base_seconds = 10, retry_max_seconds = 5 }
  }
}

run "no_model" {
  command         = plan
  expect_failures = [var.models]

  variables {
    models = {}
  }
}

run "model_with_underscore" {
  command         = plan
  expect_failures = [var.models]

  variables {
    models = { sentiment = {}, my_model = { source = "tiny" } }
  }
}

run "model_named_as_a_dlq" {
  command         = plan
  expect_failures = [var.models]

  variables {
    models = { sentiment = {}, sentiment-dlq = { source = "tiny" } }
  }
}

run "model_without_manifest" {
  command         = plan
  expect_failures = [var.models]

  variables {
    models = { sentiment = {}, unknown = {} }
  }
}

run "models_beyond_the_environment" {
  command         = plan
  expect_failures = [var.models]

  variables {
    models = merge({ sentiment = {} }, { for i in range(90) : format("a-rather-long-model-name-%03d", i) => { source = "tiny" } })
  }
}

run "default_model_unknown" {
  command         = plan
  expect_failures = [var.default_model]

  variables {
    default_model = "tiny"
  }
}

run "model_without_image" {
  command         = plan
  expect_failures = [var.worker_images]

  variables {
    models        = { sentiment = {}, tiny = {} }
    worker_images = { sentiment = "r@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" }
  }
}

run "artifact_nowhere" {
  command         = plan
  expect_failures = [var.worker_images]

  variables {
    models = { sentiment = {}, absent = {} }
  }
}

run "timeout_too_long" {
  command         = plan
  expect_failures = [var.models, var.api_url]

  variables {
    models  = { sentiment = { timeout_seconds = 901 } }
    api_url = "https://inference.example.com/"
  }
}

run "window_too_long" {
  command         = plan
  expect_failures = [var.models]

  variables {
    models = { sentiment = { batch_window_seconds = 301 } }
  }
}
