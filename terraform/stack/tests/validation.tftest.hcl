# One run with everything valid, then runs that break each validation once. A run breaks several variables, since each
# run costs a second: it passes only if every variable in expect_failures fails, and nothing else does.

mock_provider "aws" {
  source = "../mocks"
}

variables {
  name_prefix            = "inference-test"
  models                 = { sentiment = { models_dir = "tests/models" } }
  default_model          = "sentiment"
  architecture           = "x86_64"
  images_from_parameters = false
  packages_dir           = "tests/packages"
}

run "valid" {
  command = plan

  assert {
    condition     = output.deployment.default_model == "sentiment"
    error_message = "the default model is told"
  }
}

run "invalid_1" {
  command = plan
  expect_failures = [
    var.name_prefix,
    var.architecture,
    var.requests,
    var.api,
    var.sweeper,
    var.authorizer,
    var.log_level,
    var.log_retention_days,
    var.kms_key_arn,
  ]

  variables {
    # prefix too long
    name_prefix = "aaaaaaaaaaaaaaaaaaaaaaaaaa"
    # architecture unknown
    architecture = "riscv"
    # body too large
    requests = { max_body_bytes = 4500001 }
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
    # an alias
    kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:alias/inference"
  }
}

run "invalid_2" {
  command         = plan
  expect_failures = [var.name_prefix, var.requests, var.sweeper, var.kms_key_arn]

  variables {
    # prefix that ends in a hyphen
    name_prefix = "inference-"
    # body too deep
    requests = { max_body_depth = 101 }
    # sweeper too eager
    sweeper = { grace_seconds = 29 }
    # a key of another region
    kms_key_arn = "arn:aws:kms:us-east-1:123456789012:key/1"
  }
}

run "monitoring_misspelt" {
  command         = plan
  expect_failures = [var.monitoring]

  variables {
    monitoring = { dashbord = true }
  }
}

run "monitoring_of_another_kind" {
  command         = plan
  expect_failures = [var.monitoring]

  variables {
    monitoring = { emails = "team@example.com" }
  }
}

run "alarms_of_no_model" {
  command         = plan
  expect_failures = [var.monitoring]

  variables {
    monitoring = { alarms = true, alarm_models = ["other"] }
  }
}

run "api_too_short_for_its_calls" {
  command         = plan
  expect_failures = [var.api]

  variables {
    api = { timeout_seconds = 6 }
  }
}

run "a_wait_that_is_too_long" {
  command         = plan
  expect_failures = [var.api]

  variables {
    api = { max_wait_seconds = 11, timeout_seconds = 29 }
  }
}

run "a_wait_without_time_for_the_answer" {
  command         = plan
  expect_failures = [var.api]

  variables {
    api = { max_wait_seconds = 10, timeout_seconds = 14 }
  }
}

run "docs_for_nobody_in_particular" {
  command         = plan
  expect_failures = [var.api]

  variables {
    api = { docs = "closed" }
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

run "upload_beyond_s3" {
  command         = plan
  expect_failures = [var.requests]

  variables {
    requests = { max_upload_bytes = 5368709121 }
  }
}

run "batch_of_more_items_than_one_call_writes" {
  command         = plan
  expect_failures = [var.requests]

  variables {
    requests = { max_batch_items = 101 }
  }
}

run "batch_file_of_more_lines_than_are_counted" {
  command         = plan
  expect_failures = [var.requests]

  variables {
    requests = { max_batch_lines = 10001 }
  }
}

run "model_with_the_name_of_another_queue" {
  command         = plan
  expect_failures = [var.models]

  variables {
    models        = { batches = { source = "sentiment" } }
    default_model = "batches"
  }
}

run "link_too_short" {
  command         = plan
  expect_failures = [var.requests]

  variables {
    requests = { link_seconds = 59 }
  }
}

run "remembered_without_keys" {
  command         = plan
  expect_failures = [var.authorizer]

  variables {
    authorizer = { type = "AWS_IAM", cache_seconds = 60 }
  }
}

run "remembered_for_too_long" {
  command         = plan
  expect_failures = [var.authorizer]

  variables {
    authorizer = { type = "API_KEY", cache_seconds = 3601 }
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
    models = { sentiment = { models_dir = "tests/models" }, my_model = { source = "tiny", models_dir = "tests/models" } }
  }
}

run "model_named_as_a_dlq" {
  command         = plan
  expect_failures = [var.models]

  variables {
    models = { sentiment = { models_dir = "tests/models" }, sentiment-dlq = { source = "tiny", models_dir = "tests/models" } }
  }
}

run "model_without_manifest" {
  command         = plan
  expect_failures = [var.models]

  variables {
    models = { sentiment = { models_dir = "tests/models" }, unknown = { models_dir = "tests/models" } }
  }
}

run "models_beyond_the_environment" {
  command         = plan
  expect_failures = [var.models]

  variables {
    models = merge({ sentiment = { models_dir = "tests/models" } }, { for i in range(150) : "m${substr(sha256(i), 0, 30)}" => { source = "tiny", models_dir = "tests/models" } })
  }
}

run "default_model_unknown" {
  command         = plan
  expect_failures = [var.default_model]

  variables {
    default_model = "tiny"
  }
}

run "artifact_nowhere" {
  command         = plan
  expect_failures = [var.images_from_parameters]

  variables {
    models = { sentiment = { models_dir = "tests/models" }, absent = { models_dir = "tests/models" } }
  }
}

run "canary_without_parameters" {
  command         = plan
  expect_failures = [var.images_from_parameters]

  variables {
    # nothing says which version serves
    models = { sentiment = { models_dir = "tests/models", canary = 0.1 } }
  }
}

run "timeout_too_long" {
  command         = plan
  expect_failures = [var.models, var.api_url]

  variables {
    models  = { sentiment = { models_dir = "tests/models", timeout_seconds = 901 } }
    api_url = "https://inference.example.com/"
  }
}

run "window_too_long" {
  command         = plan
  expect_failures = [var.models]

  variables {
    models = { sentiment = { models_dir = "tests/models", batch_window_seconds = 301 } }
  }
}

run "misspelt_keys" {
  command = plan
  expect_failures = [
    var.models, var.requests, var.api, var.dead_letters, var.sweeper, var.authorizer, var.throttling, var.cors
  ]

  variables {
    models       = { sentiment = { models_dir = "tests/models", memmory_mb = 512 } }
    requests     = { max_atempts = 3 }
    api          = { memory = 512 }
    dead_letters = { memory = 512 }
    sweeper      = { grace = 60 }
    authorizer   = { kind = "NONE" }
    throttling   = { bursts = 1 }
    cors         = { allow_origin = ["https://app.example.com"] }
  }
}

run "values_of_another_kind" {
  command = plan
  expect_failures = [
    var.models, var.requests, var.api, var.dead_letters, var.sweeper, var.authorizer, var.throttling, var.cors
  ]

  variables {
    models       = { sentiment = { models_dir = "tests/models", memory_mb = "much" } }
    requests     = { max_attempts = "many" }
    api          = { warmth = null }
    dead_letters = { memory_mb = true }
    sweeper      = { schedule = 5 }
    authorizer   = { type = "JWT", issuer = "https://issuer.example", audience = "inference" }
    throttling   = { rate = [1] }
    cors         = { allow_origins = "https://app.example.com" }
  }
}

run "warmth_with_another_key" {
  command         = plan
  expect_failures = [var.models, var.api]

  variables {
    models = { sentiment = { models_dir = "tests/models", warmth = { warmer = { number = 2 } } } }
    api    = { warmth = { snapstart = true } }
  }
}

run "warmth_of_a_pool_with_another_key" {
  command         = plan
  expect_failures = [var.pools]

  variables {
    models = { sentiment = { models_dir = "tests/models" }, tiny = { models_dir = "tests/models", pool = "experiments" } }
    pools  = { experiments = { warmth = { tracking = { minimum = 1, max = 2 } } } }
  }
}

run "model_that_is_no_object" {
  command         = plan
  expect_failures = [var.models]

  variables {
    models = { sentiment = { models_dir = "tests/models" }, tiny = "tests/models" }
  }
}

run "package_with_another_key" {
  command         = plan
  expect_failures = [var.models]

  variables {
    models = { sentiment = { models_dir = "tests/models", package = { zip = { path = "tests/packages/worker-tiny.zip", handlr = "x.y" } } } }
  }
}

run "pool_unknown_and_unused" {
  command         = plan
  expect_failures = [var.models]

  variables {
    models = { sentiment = { models_dir = "tests/models" }, other = { models_dir = "tests/models", source = "tiny", pool = "exprements" } }
    pools  = { experiments = {} }
  }
}

run "setting_of_the_pool_on_its_model" {
  command         = plan
  expect_failures = [var.models]

  variables {
    models = { sentiment = { models_dir = "tests/models" }, other = { models_dir = "tests/models", source = "tiny", pool = "experiments", memory_mb = 2048 } }
    pools  = { experiments = {} }
  }
}

run "pool_with_wrong_settings" {
  command         = plan
  expect_failures = [var.pools]

  variables {
    models = { sentiment = { models_dir = "tests/models" }, other = { models_dir = "tests/models", source = "tiny", pool = "experiments" } }
    pools  = { experiments = { memmory_mb = 1 } }
  }
}

run "pool_with_the_name_of_a_model" {
  command         = plan
  expect_failures = [var.models]

  variables {
    models = { sentiment = { models_dir = "tests/models" }, other = { models_dir = "tests/models", source = "tiny", pool = "sentiment" } }
    pools  = { sentiment = {} }
  }
}

run "pool_with_a_capital" {
  command         = plan
  expect_failures = [var.pools]

  variables {
    models = { sentiment = { models_dir = "tests/models" }, other = { models_dir = "tests/models", source = "tiny", pool = "Experiments" } }
    pools  = { Experiments = {} }
  }
}

run "pool_that_is_no_object" {
  command         = plan
  expect_failures = [var.pools]

  variables {
    models = { sentiment = { models_dir = "tests/models" }, other = { models_dir = "tests/models", source = "tiny", pool = "experiments" } }
    pools  = { experiments = "small" }
  }
}

run "pool_of_another_kind" {
  command         = plan
  expect_failures = [var.pools]

  variables {
    models = { sentiment = { models_dir = "tests/models" }, other = { models_dir = "tests/models", source = "tiny", pool = "experiments" } }
    pools  = { experiments = { memory_mb = "much" } }
  }
}

run "pool_package_with_another_key" {
  command         = plan
  expect_failures = [var.pools]

  variables {
    models = { sentiment = { models_dir = "tests/models" }, other = { models_dir = "tests/models", source = "tiny", pool = "experiments" } }
    pools  = { experiments = { package = { zip = { path = "tests/packages/worker-tiny.zip", handlr = "x.y" } } } }
  }
}

run "pool_timeout_too_long" {
  command         = plan
  expect_failures = [var.pools]

  variables {
    models = { sentiment = { models_dir = "tests/models" }, other = { models_dir = "tests/models", source = "tiny", pool = "experiments" } }
    pools  = { experiments = { timeout_seconds = 901 } }
  }
}

run "pool_window_too_long" {
  command         = plan
  expect_failures = [var.pools]

  variables {
    models = { sentiment = { models_dir = "tests/models" }, other = { models_dir = "tests/models", source = "tiny", pool = "experiments" } }
    pools  = { experiments = { batch_window_seconds = 301 } }
  }
}

run "pool_without_a_model" {
  command         = plan
  expect_failures = [var.models]

  variables {
    models = { sentiment = { models_dir = "tests/models" } }
    pools  = { experiments = {} }
  }
}

run "pool_beyond_the_environment" {
  command         = plan
  expect_failures = [var.models]

  variables {
    models = merge({ sentiment = { models_dir = "tests/models" } }, { for i in range(30) : "m${i}" => { source = "tiny", models_dir = "tests/models", pool = "experiments", artifact = "s3://a-bucket-for-artifacts/with/a/rather/long/key/of/more/than/eighty/characters/model-${i}.onnx" } })
    pools  = { experiments = {} }
  }
}

run "vpc_misspelt" {
  command         = plan
  expect_failures = [var.vpc]

  variables {
    vpc = { zones = 2 }
  }
}

run "vpc_of_another_kind" {
  command         = plan
  expect_failures = [var.vpc]

  variables {
    vpc = { cidr = 24 }
  }
}

run "vpc_without_security_groups" {
  command         = plan
  expect_failures = [var.vpc]

  variables {
    vpc = { subnet_ids = ["subnet-a"] }
  }
}

run "vpc_with_an_empty_list" {
  command         = plan
  expect_failures = [var.vpc]

  variables {
    vpc = { subnet_ids = [], security_group_ids = ["sg-1"] }
  }
}

run "vpc_of_two_kinds" {
  command         = plan
  expect_failures = [var.vpc]

  variables {
    vpc = { subnet_ids = ["subnet-a"], security_group_ids = ["sg-1"], zone_count = 3 }
  }
}

run "invalid_webhooks_setting" {
  command         = plan
  expect_failures = [var.webhooks]

  variables {
    # a misspelt setting
    webhooks = { secret_arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:hooks", url = "https://example.com" }
  }
}

run "invalid_webhooks_type" {
  command         = plan
  expect_failures = [var.webhooks]

  variables {
    # a text instead of a number
    webhooks = { secret_arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:hooks", maximum_concurrency = "many" }
  }
}

run "invalid_webhooks_without_a_secret" {
  command         = plan
  expect_failures = [var.webhooks]

  variables {
    webhooks = {}
  }
}

run "invalid_webhooks_in_a_closed_vpc" {
  command         = plan
  expect_failures = [var.webhooks]

  variables {
    webhooks = { secret_arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:hooks" }
    vpc      = {}
  }
}

run "invalid_webhooks_as_a_models_name" {
  command         = plan
  expect_failures = [var.webhooks]

  variables {
    webhooks = { secret_arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:hooks" }
    models = {
      sentiment = { models_dir = "tests/models" }
      webhooks  = { models_dir = "tests/models", source = "tiny" }
    }
  }
}

run "invalid_trigger_setting" {
  command         = plan
  expect_failures = [var.triggers]

  variables {
    authorizer = { type = "API_KEY" }
    models = {
      sentiment = { models_dir = "tests/models" }
      picture   = { models_dir = "tests/models" }
      two-files = { models_dir = "tests/models" }
    }
    # an unknown key
    triggers = {
      uploads = { models = ["picture"], caller = "key:a", buckets = "photos" }
    }
  }
}

run "invalid_trigger_name" {
  command         = plan
  expect_failures = [var.triggers]

  variables {
    authorizer = { type = "API_KEY" }
    models = {
      sentiment = { models_dir = "tests/models" }
      picture   = { models_dir = "tests/models" }
      two-files = { models_dir = "tests/models" }
    }
    # an underscore
    triggers = {
      my_uploads = { models = ["picture"], caller = "key:a" }
    }
  }
}

run "invalid_trigger_object" {
  command         = plan
  expect_failures = [var.triggers]

  variables {
    authorizer = { type = "API_KEY" }
    models = {
      sentiment = { models_dir = "tests/models" }
      picture   = { models_dir = "tests/models" }
      two-files = { models_dir = "tests/models" }
    }
    # no object
    triggers = {
      uploads = "photos"
    }
  }
}

run "invalid_trigger_type" {
  command         = plan
  expect_failures = [var.triggers]

  variables {
    authorizer = { type = "API_KEY" }
    models = {
      sentiment = { models_dir = "tests/models" }
      picture   = { models_dir = "tests/models" }
      two-files = { models_dir = "tests/models" }
    }
    # a list
    triggers = {
      uploads = { models = ["picture"], caller = "key:a", suffix = ["in/"] }
    }
  }
}

run "invalid_trigger_results" {
  command         = plan
  expect_failures = [var.triggers]

  variables {
    authorizer = { type = "API_KEY" }
    models = {
      sentiment = { models_dir = "tests/models" }
      picture   = { models_dir = "tests/models" }
      two-files = { models_dir = "tests/models" }
    }
    # an unknown key
    triggers = {
      uploads = { models = ["picture"], caller = "key:a", results = { prefix = "out/", folder = "x" }, prefix = "in/" }
    }
  }
}

run "invalid_trigger_models" {
  command         = plan
  expect_failures = [var.triggers]

  variables {
    authorizer = { type = "API_KEY" }
    models = {
      sentiment = { models_dir = "tests/models" }
      picture   = { models_dir = "tests/models" }
      two-files = { models_dir = "tests/models" }
    }
    # an unknown model
    triggers = {
      uploads = { models = ["nope"], caller = "key:a" }
    }
  }
}

run "invalid_trigger_place" {
  command         = plan
  expect_failures = [var.triggers]

  variables {
    authorizer = { type = "API_KEY" }
    models = {
      sentiment = { models_dir = "tests/models" }
      picture   = { models_dir = "tests/models" }
      two-files = { models_dir = "tests/models" }
    }
    # two files, and no place
    triggers = {
      uploads = { models = ["two-files"], caller = "key:a" }
    }
  }
}

run "invalid_trigger_without_files" {
  command         = plan
  expect_failures = [var.triggers]

  variables {
    authorizer = { type = "API_KEY" }
    models = {
      sentiment = { models_dir = "tests/models" }
      picture   = { models_dir = "tests/models" }
      two-files = { models_dir = "tests/models" }
    }
    # a model without files
    triggers = {
      uploads = { models = ["sentiment"], caller = "key:a" }
    }
  }
}

run "invalid_trigger_input" {
  command         = plan
  expect_failures = [var.triggers]

  variables {
    authorizer = { type = "API_KEY" }
    models = {
      sentiment = { models_dir = "tests/models" }
      picture   = { models_dir = "tests/models" }
      two-files = { models_dir = "tests/models" }
    }
    # of a model that is not the trigger's
    triggers = {
      uploads = { models = ["picture"], caller = "key:a", input = { sentiment = {} } }
    }
  }
}

run "invalid_trigger_caller" {
  command         = plan
  expect_failures = [var.triggers]

  variables {
    authorizer = { type = "API_KEY" }
    models = {
      sentiment = { models_dir = "tests/models" }
      picture   = { models_dir = "tests/models" }
      two-files = { models_dir = "tests/models" }
    }
    # of another authorizer
    triggers = {
      uploads = { models = ["picture"], caller = "iam:arn:aws:sts::123456789012:assumed-role/app" }
    }
  }
}

run "invalid_trigger_no_caller" {
  command         = plan
  expect_failures = [var.triggers]

  variables {
    authorizer = { type = "API_KEY" }
    models = {
      sentiment = { models_dir = "tests/models" }
      picture   = { models_dir = "tests/models" }
      two-files = { models_dir = "tests/models" }
    }
    # nobody could see the requests
    triggers = {
      uploads = { models = ["picture"] }
    }
  }
}

run "invalid_trigger_bucket" {
  command         = plan
  expect_failures = [var.triggers]

  variables {
    authorizer = { type = "API_KEY" }
    models = {
      sentiment = { models_dir = "tests/models" }
      picture   = { models_dir = "tests/models" }
      two-files = { models_dir = "tests/models" }
    }
    # a dot
    triggers = {
      uploads = { bucket = "my.photos", models = ["picture"], caller = "key:a" }
    }
  }
}

run "invalid_trigger_prefix" {
  command         = plan
  expect_failures = [var.triggers]

  variables {
    authorizer = { type = "API_KEY" }
    models = {
      sentiment = { models_dir = "tests/models" }
      picture   = { models_dir = "tests/models" }
      two-files = { models_dir = "tests/models" }
    }
    # a slash at its beginning
    triggers = {
      uploads = { prefix = "/in", models = ["picture"], caller = "key:a" }
    }
  }
}

run "invalid_trigger_overlap" {
  command         = plan
  expect_failures = [var.triggers]

  variables {
    authorizer = { type = "API_KEY" }
    models = {
      sentiment = { models_dir = "tests/models" }
      picture   = { models_dir = "tests/models" }
      two-files = { models_dir = "tests/models" }
    }
    # its results are its objects
    triggers = {
      uploads = { prefix = "a/", suffix = ".png", models = ["picture"], caller = "key:a", results = { prefix = "a/" } }
    }
  }
}

run "invalid_trigger_overlap_of_two" {
  command         = plan
  expect_failures = [var.triggers]

  variables {
    authorizer = { type = "API_KEY" }
    models = {
      sentiment = { models_dir = "tests/models" }
      picture   = { models_dir = "tests/models" }
      two-files = { models_dir = "tests/models" }
    }
    # what one writes the other takes
    triggers = {
      uploads = { prefix = "in/", models = ["picture"], caller = "key:a", results = { prefix = "out/" } }
      more    = { prefix = "out/in/cats", models = ["picture"], caller = "key:a" }
    }
  }
}

run "invalid_trigger_cdn" {
  command         = plan
  expect_failures = [var.triggers]

  variables {
    authorizer = { type = "API_KEY" }
    models = {
      sentiment = { models_dir = "tests/models" }
      picture   = { models_dir = "tests/models" }
      two-files = { models_dir = "tests/models" }
    }
    # of a bucket that is not made here
    triggers = {
      uploads = { bucket = "photos", prefix = "in/", models = ["picture"], caller = "key:a", results = { prefix = "out/", cdn = {} } }
    }
  }
}

run "invalid_trigger_webhook" {
  command         = plan
  expect_failures = [var.triggers]

  variables {
    authorizer = { type = "API_KEY" }
    models = {
      sentiment = { models_dir = "tests/models" }
      picture   = { models_dir = "tests/models" }
      two-files = { models_dir = "tests/models" }
    }
    # without webhooks
    triggers = {
      uploads = { models = ["picture"], caller = "key:a", webhook = "https://example.com/" }
    }
  }
}

run "invalid_trigger_as_a_models_name" {
  command         = plan
  expect_failures = [var.triggers]

  variables {
    authorizer = { type = "API_KEY" }
    models = {
      sentiment = { models_dir = "tests/models" }
      intake    = { models_dir = "tests/models", source = "picture" }
    }
    # the queue of events has that name
    triggers = { uploads = { models = ["intake"], caller = "key:a" } }
  }
}

run "invalid_triggers_too_long" {
  command         = plan
  expect_failures = [var.triggers]

  variables {
    authorizer = { type = "API_KEY" }
    models = {
      sentiment = { models_dir = "tests/models" }
      picture   = { models_dir = "tests/models" }
    }
    # more than fits in the environment
    triggers = { for number in range(40) : "uploads-of-many-users-${number}" => { models = ["picture"], caller = "key:somebody", prefix = "in/${number}/" } }
  }
}

run "sync_misspelt" {
  command         = plan
  expect_failures = [var.models]

  variables {
    # no such setting
    models = { sentiment = { models_dir = "tests/models", sync = { memory = 512 } } }
  }
}

run "sync_of_another_kind" {
  command         = plan
  expect_failures = [var.models]

  variables {
    # a text
    models = { sentiment = { models_dir = "tests/models", sync = { memory_mb = "large" } } }
  }
}

run "sync_warmth_misspelt" {
  command         = plan
  expect_failures = [var.models]

  variables {
    # no such setting
    models = { sentiment = { models_dir = "tests/models", sync = { warmth = { warm = 1 } } } }
  }
}

run "sync_longer_than_the_api_waits" {
  command         = plan
  expect_failures = [var.models]

  variables {
    # 30 s
    models = { sentiment = { models_dir = "tests/models", pool = "experiments" } }
    pools  = { experiments = { sync = { timeout_seconds = 30 } } }
  }
}

run "invalid_backend_unknown" {
  command         = plan
  expect_failures = [var.models]

  variables {
    # misspelt
    models = { sentiment = { models_dir = "tests/models", backend = { kind = "runpod", endpoint = "abc", token_secret_arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:t-AbCdEf", pol_seconds = {} } } }
  }
}

run "invalid_backend_type" {
  command         = plan
  expect_failures = [var.models]

  variables {
    # a number
    models = { sentiment = { models_dir = "tests/models", backend = { kind = "runpod", endpoint = 5, token_secret_arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:t-AbCdEf" } } }
  }
}

run "invalid_backend_polls" {
  command         = plan
  expect_failures = [var.models]

  variables {
    # a key of its own
    models = { sentiment = { models_dir = "tests/models", backend = { kind = "runpod", endpoint = "abc", token_secret_arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:t-AbCdEf", poll_seconds = { least = 2 } } } }
  }
}

run "invalid_backend_with_a_worker" {
  command         = plan
  expect_failures = [var.models]

  variables {
    # an artifact means nothing to a dispatcher
    models = { sentiment = { models_dir = "tests/models", artifact = "s3://bucket/key", backend = { kind = "runpod", endpoint = "abc", token_secret_arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:t-AbCdEf" } } }
  }
}

run "invalid_backend_too_long" {
  command         = plan
  expect_failures = [var.models]

  variables {
    # longer than an environment
    models = { sentiment = { models_dir = "tests/models", backend = { kind = "runpod", endpoint = "abc", token_secret_arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:t-AbCdEf", url = "https://${join("", [for i in range(300) : "0123456789"])}" } } }
  }
}

run "invalid_backend_in_a_closed_vpc" {
  command         = plan
  expect_failures = [var.models]

  variables {
    models = { sentiment = { models_dir = "tests/models", backend = { kind = "runpod", endpoint = "abc", token_secret_arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:t-AbCdEf" } } }
    vpc    = {}
  }
}
