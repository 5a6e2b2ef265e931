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

run "one_model" {
  assert {
    condition     = local.models["sentiment"].batch_size == 20 && local.models["sentiment"].batch_window_seconds == 2 && local.models["sentiment"].memory_mb == 3008 && local.models["sentiment"].timeout_seconds == 45
    error_message = "what `models` does not say must come from the manifest"
  }

  assert {
    condition     = jsonencode(jsondecode(module.api.environment.DEPLOYED)) == jsonencode({ architecture = "x86_64", authorizer = "AWS_IAM", memory_mb = {}, open_paths = [], sync = [], without = ["/requests/{request_id}/webhook", "/batches/{batch_id}/webhook"] })
    error_message = "the api function must know what is deployed"
  }

  assert {
    condition     = contains(local.routes, "GET /status/{request_id}") && alltrue([for path in keys(local.openapi_paths) : anytrue([for route in local.routes : endswith(route, " ${path}")]) != contains(local.paths_without_route, path)])
    error_message = "every path of openapi.json must have a route, unless it is switched off"
  }

  assert {
    condition     = output.deployment.function_names == { api = "inference-test-api", dead_letters = "inference-test-dead-letters", sweeper = "inference-test-sweeper", batches = "inference-test-batches", "worker/sentiment" = "inference-test-worker-sentiment" }
    error_message = "every function is named after its role"
  }

  assert {
    condition     = local.queue_url_prefix == "https://sqs.eu-west-1.amazonaws.com/123456789012/inference-test-"
    error_message = "a queue's URL must be the prefix and the model's name"
  }

  assert {
    condition     = endswith(aws_lambda_event_source_mapping.dead_letters.function_name, ":live") && aws_lambda_event_source_mapping.dead_letters.function_response_types == toset(["ReportBatchItemFailures"])
    error_message = "the dead-letter queue must invoke the alias, and one bad message must not return its batch"
  }

  assert {
    condition     = endswith(aws_lambda_event_source_mapping.batches.function_name, ":live") && aws_lambda_event_source_mapping.batches.function_response_types == toset(["ReportBatchItemFailures"]) && aws_lambda_event_source_mapping.batches.batch_size == 1
    error_message = "the batches function must be invoked by its alias, for one file at a time, and be able to return its message"
  }

  assert {
    condition     = aws_lambda_permission.sweep.qualifier == "live" && aws_lambda_permission.sweep.source_arn == aws_cloudwatch_event_rule.sweep.arn && endswith(aws_cloudwatch_event_target.sweep.arn, ":live")
    error_message = "only the schedule may invoke the sweeper, by its alias"
  }

  assert {
    condition = output.deployment.protected == {
      request_table    = "inference-test-requests"
      image_repository = "inference-test-worker"
      payload_bucket   = output.deployment.payload_bucket
    }
    error_message = "what destroy refuses to delete must be named"
  }

  assert {
    condition     = output.deployment.api_url == "https://mockapi.execute-api.eu-west-1.amazonaws.com" && keys(output.deployment.worker_role_arns) == ["sentiment"]
    error_message = "the API's address and the workers' roles must be told"
  }

  assert {
    condition     = output.deployment.monitoring.dashboard == null && output.deployment.monitoring.topic_arn == null && length(output.deployment.monitoring.alarms) == 0
    error_message = "what costs money while nobody calls must be asked for"
  }

  assert {
    condition     = output.deployment.kept_versions_path == null && alltrue([for rollout in local.rollouts : rollout.canary == 0 && rollout.kept == null && length(rollout.alarm_actions) == 0])
    error_message = "a new version serves at once unless a canary is asked for"
  }

  assert {
    condition     = local.authorizer.type == "AWS_IAM"
    error_message = "an API that is open to everyone must be asked for"
  }

  assert {
    condition     = length(module.authorizer) == 0 && length(module.key_table) == 0 && output.deployment.api_keys == null && local.function_names.authorizer == null
    error_message = "what only API keys need must not be there without them"
  }

  assert {
    condition     = local.cors == null && var.tls_only && var.deletion_protection
    error_message = "the defaults must be the safe ones"
  }

  assert {
    condition     = jsonencode(local.upload_origins) == jsonencode(["https://mockapi.execute-api.eu-west-1.amazonaws.com"])
    error_message = "the page GET /docs, and no page of another origin, must be able to upload"
  }
}

run "synchronous" {
  variables {
    models = {
      sentiment = { models_dir = "tests/models", sync = {}, artifact = "s3://models/1.onnx" }
      first     = { models_dir = "tests/models", source = "tiny", pool = "experiments" }
      second    = { models_dir = "tests/models", source = "tiny", pool = "experiments" }
      third     = { models_dir = "tests/models", source = "tiny" }
    }
    pools      = { experiments = { sync = { memory_mb = 512, timeout_seconds = 10, warmth = { warmer = {} } } } }
    monitoring = { alarms = true }
  }

  assert {
    condition = toset(keys(local.sync_routes)) == toset(flatten([for name in ["sentiment", "first", "second"] : [
      "POST /models/${name}/predict", "POST /models/${name}/batch", "GET /models/${name}/health",
    ]]))
    error_message = "each model whose worker has sync, and no other, must have the routes"
  }

  assert {
    condition     = local.sync_routes["POST /models/first/predict"].function.name == "inference-test-sync-experiments" && local.sync_routes["POST /models/second/batch"].function.name == "inference-test-sync-experiments" && local.sync_routes["GET /models/sentiment/health"].function.name == "inference-test-sync-sentiment" && !anytrue([for route in values(local.sync_routes) : route.open])
    error_message = "a pool's function must serve all its models, and nobody may call it without credentials"
  }

  assert {
    condition     = local.sync["sentiment"].memory_mb == 3008 && local.sync["sentiment"].timeout_seconds == 29 && local.sync["experiments"].memory_mb == 512 && local.warmth["sync-experiments"].warmer.environments == 1
    error_message = "what sync does not say must be the worker's, or a default"
  }

  assert {
    condition     = jsonencode(jsondecode(module.api.environment.DEPLOYED).sync) == jsonencode(["first", "second", "sentiment"])
    error_message = "the api function must describe the routes"
  }

  assert {
    condition     = output.deployment.function_names["sync/experiments"] == "inference-test-sync-experiments" && contains(output.deployment.monitoring.alarms, "inference-test-sync-sentiment-throttles")
    error_message = "the functions must be told, and their throttles be seen"
  }
}

run "monitored" {
  variables {
    models = {
      sentiment = { models_dir = "tests/models" }
      trial     = { models_dir = "tests/models", source = "tiny" }
    }
    monitoring = { dashboard = true, alarms = true, alarm_models = ["sentiment"] }
  }

  assert {
    condition     = output.deployment.monitoring.dashboard == "inference-test" && output.deployment.monitoring.topic_arn != null && contains(output.deployment.monitoring.alarms, "inference-test-sentiment-failures") && !anytrue([for name in output.deployment.monitoring.alarms : strcontains(name, "trial")])
    error_message = "only the models that were named may have alarms"
  }

  assert {
    condition     = length(local.error_codes) == 14 && local.metrics_environment["METRICS_ENVIRONMENT"] == "inference-test"
    error_message = "the functions must write metrics, and the dashboard know the codes"
  }
}

run "without_metrics" {
  variables {
    monitoring = { metrics = false, alarms = true }
  }

  assert {
    condition     = length(local.metrics_environment) == 0 && !contains(output.deployment.monitoring.alarms, "inference-test-sentiment-failures")
    error_message = "metrics must be off where they are turned off"
  }
}

run "models_differ" {
  variables {
    models = {
      sentiment = { models_dir = "tests/models", batch_size = 5, batch_window_seconds = 0, memory_mb = 2048, timeout_seconds = 20, ephemeral_storage_mb = 4096 }
      other     = { models_dir = "tests/models", source = "tiny" }
      tuned = {
        models_dir = "tests/models"
        source     = "tiny"
        package    = { image = { uri = "repository@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" } }
      }
    }
  }

  assert {
    condition     = local.models["sentiment"].batch_size == 5 && local.models["sentiment"].batch_window_seconds == 0 && local.models["sentiment"].memory_mb == 2048 && local.models["sentiment"].timeout_seconds == 20
    error_message = "what `models` says must win over the manifest"
  }

  assert {
    condition     = { for name, model in local.models : name => model.ephemeral_storage_mb } == { sentiment = 4096, other = 512, tuned = 512 }
    error_message = "a model's disk must be the one that `models` asks for"
  }

  assert {
    condition     = local.models["other"].batch_size == 10 && local.models["other"].batch_window_seconds == 0 && local.models["other"].memory_mb == 1769 && local.models["other"].timeout_seconds == 60
    error_message = "another model's settings come from its own manifest"
  }

  assert {
    condition     = jsondecode(local.models_json) == { other = "tiny", sentiment = "sentiment", tuned = "tiny" }
    error_message = "the api must learn each model's source"
  }

  assert {
    condition     = endswith(local.models["other"].package.zip.path, "/worker-tiny.zip") && local.models["tuned"].package.zip == null && local.models["tuned"].package.image.uri == var.models["tuned"].package.image.uri
    error_message = "a model runs from its source's zip unless it has a package of its own"
  }

  assert {
    condition     = toset(keys(output.deployment.queue_urls)) == toset(["other", "sentiment", "tuned"]) && toset(keys(module.request_queue)) == toset(["other", "sentiment", "tuned"])
    error_message = "each model without a pool must have a queue of its own"
  }
}

run "pool" {
  variables {
    models = {
      sentiment = { models_dir = "tests/models" }
      first     = { models_dir = "tests/models", source = "tiny", pool = "experiments" }
      second    = { models_dir = "tests/models", source = "weights", pool = "experiments", artifact = "s3://bucket/weights.npz" }
    }
    pools = { experiments = { environment = { THREADS = "1" }, read_buckets = ["s3://bucket/inputs/"] } }
  }

  assert {
    condition     = toset(keys(module.request_queue)) == toset(["experiments", "sentiment"]) && toset(keys(module.worker)) == toset(["experiments", "sentiment"]) && local.queue_names == { experiments = "inference-test-experiments", sentiment = "inference-test-sentiment" }
    error_message = "a pool has one queue and one worker; a model without one keeps its own, with its name"
  }

  assert {
    condition     = keys(output.deployment.queue_urls) == ["first", "second", "sentiment"] && output.deployment.pools == { experiments = ["first", "second"] } && output.deployment.function_names["worker/experiments"] == "inference-test-worker-experiments"
    error_message = "each model's queue, the pools and the workers must be told"
  }

  assert {
    condition     = local.pools["experiments"].memory_mb == max([for name in ["first", "second"] : local.manifests[name].memory_mb]...) && local.pools["experiments"].timeout_seconds == 2 * max([for name in ["first", "second"] : local.manifests[name].timeout_seconds]...) && local.pools["experiments"].batch_size == 10
    error_message = "what a pool does not say follows from its models' manifests"
  }

  assert {
    condition     = endswith(local.pools["experiments"].package.zip.path, "/pool-experiments.zip") && endswith(local.models["sentiment"].package.zip.path, "/worker-sentiment.zip")
    error_message = "a pool has a zip with all its models"
  }

  assert {
    condition     = jsondecode(local.models_json) == { first = "tiny", second = "weights", sentiment = "sentiment" } && jsondecode(local.pools_json) == { experiments = ["first", "second"] } && jsondecode(module.sweeper.environment.POOLS) == jsondecode(local.pools_json)
    error_message = "the functions must learn which pool a model is in"
  }

  assert {
    condition     = length(local.queue_arns) == 2 && local.dlq_arn == "arn:aws:sqs:eu-west-1:123456789012:inference-test-dlq"
    error_message = "one dead-letter queue serves the stack"
  }
}

run "pool_with_a_size_of_its_own" {
  command = plan

  variables {
    models = {
      sentiment = { models_dir = "tests/models" }
      first     = { models_dir = "tests/models", source = "tiny", pool = "experiments" }
    }
    pools                  = { experiments = { memory_mb = 4096, timeout_seconds = 10, batch_size = 3 } }
    images_from_parameters = true
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.images
    values = {
      names  = ["/inference-test/worker-images/experiments"]
      values = ["r@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"]
    }
  }

  assert {
    condition     = local.pools["experiments"].memory_mb == 4096 && local.pools["experiments"].timeout_seconds == 10 && local.pools["experiments"].batch_size == 3
    error_message = "what a pool says must win over the manifests"
  }

  assert {
    condition     = local.pools["experiments"].package.zip == null && endswith(local.pools["experiments"].package.image.uri, "cdef")
    error_message = "a pool runs from its image where one was deployed"
  }
}

run "environments_kept_ready" {
  variables {
    models = {
      sentiment = { models_dir = "tests/models", warmth = { scheduled = { concurrency = 2, start = "cron(0 8 ? * MON-FRI *)", stop = "cron(0 18 ? * MON-FRI *)" } } }
      first     = { models_dir = "tests/models", source = "tiny", pool = "experiments" }
    }
    pools = { experiments = { warmth = { warmer = { environments = 2, schedule = "rate(10 minutes)" } } } }
    api   = { warmth = { snap_start = true } }
  }

  assert {
    condition = jsonencode(local.warmth) == jsonencode({
      api                = { snap_start = true }
      worker-experiments = { warmer = { environments = 2, schedule = "rate(10 minutes)" } }
      worker-sentiment   = { scheduled = { concurrency = 2, start = "cron(0 8 ? * MON-FRI *)", stop = "cron(0 18 ? * MON-FRI *)", timezone = "UTC" } }
    })
    error_message = "each worker and the api function must get what was said of it, and nothing else"
  }
}

run "artifact_in_s3" {
  command = plan

  variables {
    models = {
      sentiment = { models_dir = "tests/models" }
      absent    = { models_dir = "tests/models", artifact = "s3://bucket/absent.onnx" }
      weights   = { models_dir = "tests/models", artifact = "s3://bucket/weights.npz" }
    }
  }

  assert {
    condition     = local.models["absent"].artifact == "s3://bucket/absent.onnx" && local.models["weights"].artifact == "s3://bucket/weights.npz"
    error_message = "an artifact in S3 need not be in the folder, whatever the runtime"
  }
}

run "this_machine" {
  variables {
    api_url = "http://127.0.0.1:4566/_aws/execute-api/mockapi"
  }

  assert {
    condition     = output.deployment.api_url == "http://127.0.0.1:4566/_aws/execute-api/mockapi"
    error_message = "a server beside an emulator must be able to call back"
  }
}

run "own_domain" {
  variables {
    api_url             = "https://inference.Example.com:443/v1"
    deletion_protection = false
    cors                = { allow_origins = ["https://app.example.com"] }
  }

  assert {
    condition     = local.cors.allow_origins == ["https://app.example.com"] && length(setsubtract(["authorization", "content-type", "idempotency-key", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token", "x-api-key"], local.cors.allow_headers)) == 0
    error_message = "a page must be able to send a signature's headers, a token or a key"
  }

  assert {
    condition     = output.deployment.api_url == "https://inference.Example.com:443/v1" && length(output.deployment.protected) == 0
    error_message = "clients must be sent to the domain that was given"
  }

  assert {
    condition     = jsonencode(local.upload_origins) == jsonencode(["https://mockapi.execute-api.eu-west-1.amazonaws.com", "https://inference.example.com", "https://app.example.com"])
    error_message = "the page must be able to upload wherever it is opened, and the pages of other origins"
  }
}

run "with_api_keys" {
  variables {
    authorizer = { type = "API_KEY" }
    monitoring = { alarms = true }
  }

  assert {
    condition     = output.deployment.api_keys == { table = "inference-test-api-keys", cache_seconds = 60 } && output.deployment.protected.key_table == "inference-test-api-keys"
    error_message = "the commands must know the keys' table, and it must be protected as the requests' one is"
  }

  assert {
    condition     = output.deployment.function_names.authorizer == "inference-test-authorizer" && contains(output.deployment.monitoring.alarms, "inference-test-authorizer-throttles")
    error_message = "the authorizer must be known and watched"
  }
}

run "without_lists" {
  command = plan

  variables {
    requests = { list_by_caller = false }
  }

  assert {
    condition     = !contains(local.routes, "GET /requests") && contains(local.routes, "GET /models")
    error_message = "without the index there must be no route that needs it"
  }

  assert {
    condition     = tolist(local.open_routes) == tolist(["GET /docs", "GET /health"])
    error_message = "what the description asks no credentials for must be open, and nothing else"
  }
}

run "long_deadline" {
  command = plan

  variables {
    requests = { deadline_seconds = 864000, retention_seconds = 1209600 }
  }

  assert {
    condition     = local.queue_retention_seconds == 864000
    error_message = "the queue must keep a message until its request's deadline"
  }

  assert {
    condition     = output.deployment.replay_limits == { max_attempts = 5, deadline_seconds = 864000, retention_seconds = 1209600 }
    error_message = "a replay must have the deployment's limits"
  }
}

# What `make deploy` has written decides, and so the same for everybody's plan.

run "images_from_parameters" {
  command = plan

  variables {
    images_from_parameters = true
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.images
    values = {
      names  = ["/inference-test/worker-images/sentiment", "/inference-test/worker-images/removed"]
      values = ["r@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "r@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"]
    }
  }

  assert {
    condition     = data.aws_ssm_parameters_by_path.images[0].path == "/inference-test/worker-images/"
    error_message = "the parameters of this deployment must be read, and no others"
  }

  assert {
    condition     = local.models["sentiment"].package.zip == null && endswith(local.models["sentiment"].package.image.uri, "cdef")
    error_message = "the model must run from the image that was deployed"
  }
}

run "no_parameter_yet" {
  command = plan

  variables {
    images_from_parameters = true
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.images
    values = { names = [], values = [] }
  }

  assert {
    condition     = local.models["sentiment"].package.image == null && local.models["sentiment"].package.zip != null
    error_message = "a model that was never deployed runs from its zip"
  }
}

run "a_package_wins_over_the_parameter" {
  command = plan

  variables {
    images_from_parameters = true
    models                 = { sentiment = { models_dir = "tests/models", package = { zip = { path = "tests/packages/worker-tiny.zip" } } } }
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.images
    values = {
      names  = ["/inference-test/worker-images/sentiment"]
      values = ["r@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"]
    }
  }

  assert {
    condition     = local.models["sentiment"].package.image == null && local.models["sentiment"].package.zip == { path = "tests/packages/worker-tiny.zip", handler = "worker.handler.handler", runtime = "python3.13" }
    error_message = "a model's own package must run it, with the defaults of what it leaves out"
  }
}

# Versions: what `make promote` and `make rollback` have decided.

run "canaries" {
  variables {
    images_from_parameters = true
    models = {
      sentiment = { models_dir = "tests/models", canary = 0.25 }
      plain     = { models_dir = "tests/models", source = "tiny" }
      first     = { models_dir = "tests/models", source = "tiny", pool = "experiments" }
    }
    pools      = { experiments = { canary = 0.5 } }
    api        = { canary = 0.1 }
    monitoring = { alarms = true }
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.images
    values = { names = [], values = [] }
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.kept_versions
    values = {
      names = ["/inference-test/kept-versions/api", "/inference-test/kept-versions/worker-experiments", "/inference-test/kept-versions/worker-removed"]
      values = [
        "{\"version\": \"6\", \"rejected\": [], \"package_type\": \"Zip\"}",
        "{\"version\": \"3\", \"rejected\": [\"4\", \"5\"], \"package_type\": \"Zip\"}",
        "{\"version\": \"1\", \"rejected\": [], \"package_type\": \"Image\"}",
      ]
    }
  }

  assert {
    condition     = data.aws_ssm_parameters_by_path.kept_versions[0].path == "/inference-test/kept-versions/" && output.deployment.kept_versions_path == "/inference-test/kept-versions/"
    error_message = "the decisions of this deployment must be read, and the scripts must know where they are"
  }

  assert {
    condition     = { for function, rollout in local.rollouts : function => rollout.canary } == { api = 0.1, worker-experiments = 0.5, worker-plain = 0, worker-sentiment = 0.25 }
    error_message = "api, models and pools have a share of their own"
  }

  assert {
    condition     = local.rollouts["api"].kept.version == "6" && local.rollouts["worker-experiments"].kept.rejected == ["4", "5"] && local.rollouts["worker-plain"].kept == null && local.rollouts["worker-sentiment"].kept == null
    error_message = "each function must have its own decision, or none"
  }

  assert {
    condition     = toset([for name in output.deployment.monitoring.alarms : name if endswith(name, "-canary")]) == toset(["inference-test-api-canary", "inference-test-worker-experiments-canary", "inference-test-worker-sentiment-canary"])
    error_message = "the alarms of the canaries must be told"
  }

  assert {
    condition     = alltrue([for rollout in local.rollouts : one(rollout.alarm_actions) == output.deployment.monitoring.topic_arn])
    error_message = "they notify the topic of the others"
  }
}

run "an_image_by_tag" {
  command = plan

  variables {
    images_from_parameters = true
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.images
    values = { names = ["/inference-test/worker-images/sentiment"], values = ["repository:latest"] }
  }

  expect_failures = [data.aws_ssm_parameters_by_path.images]
}

run "with_a_key" {
  variables {
    kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/1"
  }

  assert {
    # as JSON, since a list and a tuple with the same elements are not equal
    condition = jsonencode(local.keys) == jsonencode({
      api          = { arn = var.kms_key_arn, decrypts_by = ["dynamodb", "s3", "sqs"], encrypts_by = ["s3", "sqs"] }
      dead_letters = { arn = var.kms_key_arn, decrypts_by = ["dynamodb", "sqs"], encrypts_by = [] }
      sweeper      = { arn = var.kms_key_arn, decrypts_by = ["dynamodb"], encrypts_by = [] }
      batches      = { arn = var.kms_key_arn, decrypts_by = ["dynamodb", "s3", "sqs"], encrypts_by = ["s3", "sqs"] }
      callbacks    = { arn = var.kms_key_arn, decrypts_by = ["dynamodb"], encrypts_by = ["s3"] }
      authorizer   = { arn = var.kms_key_arn, decrypts_by = ["dynamodb"], encrypts_by = [] }
    })
    error_message = "only the api and the batches function write to an encrypted queue, and the sweeper reads no message"
  }
}

run "in_a_vpc" {
  variables {
    vpc = {}
  }

  assert {
    condition     = local.function_vpc == { subnet_ids = module.network[0].subnet_ids, security_group_ids = module.network[0].security_group_ids } && length(local.function_vpc.subnet_ids) == 2
    error_message = "the functions must be in the VPC that is made for them"
  }
}

run "in_an_existing_vpc" {
  variables {
    vpc = { subnet_ids = ["subnet-a", "subnet-b"], security_group_ids = ["sg-1"] }
  }

  assert {
    condition     = length(module.network) == 0 && jsonencode(local.function_vpc) == jsonencode(var.vpc)
    error_message = "no VPC may be made where one is given"
  }
}

run "without_webhooks" {
  assert {
    condition     = length(module.webhooks) == 0 && output.deployment.webhook_dead_letter_queue_url == null && length(local.webhook_environment) == 0 && length(local.webhook_queue_arns) == 0
    error_message = "without webhooks nothing of them may exist"
  }
}

run "with_webhooks" {
  variables {
    webhooks   = { secret_arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:hooks-AbCdEf", default_url = "https://example.com/hook" }
    monitoring = { alarms = true }
  }

  assert {
    condition     = output.deployment.function_names.relay == "inference-test-relay" && output.deployment.function_names.deliverer == "inference-test-deliverer" && output.deployment.webhook_dead_letter_queue_url != null
    error_message = "what belongs to webhooks must be told"
  }

  assert {
    condition     = length(local.paths_without_route) == 0 && contains(local.routes, "POST /requests/{request_id}/webhook") && contains(local.routes, "POST /batches/{batch_id}/webhook")
    error_message = "a webhook must be sent again where there are webhooks"
  }

  assert {
    condition     = jsondecode(local.webhook_environment.WEBHOOKS) == { default_url = "https://example.com/hook", allow_loopback = false } && local.webhook_queue_environment.WEBHOOK_QUEUE_URL == "${local.queue_url_prefix}webhooks"
    error_message = "the api function must know the default, and the sweeper the queue"
  }

  assert {
    condition     = contains(data.aws_iam_policy_document.sweeper_table.statement[1].resources, "${local.table_arn}/index/webhooks") && data.aws_iam_policy_document.sweeper_queue.statement[1].actions == toset(["sqs:SendMessage"]) && data.aws_iam_policy_document.sweeper_queue.statement[1].resources == toset(["arn:aws:sqs:eu-west-1:123456789012:inference-test-webhooks"])
    error_message = "the sweeper must be able to send what is due"
  }

  assert {
    condition     = contains(output.deployment.monitoring.alarms, "inference-test-webhook-dead-letters")
    error_message = "webhooks that are given up must be seen"
  }
}

run "without_triggers" {
  assert {
    condition     = length(module.triggers) == 0 && length(module.object_bucket) == 0 && length(module.results_cdn) == 0 && output.deployment.triggers == null && output.deployment.intake_queue_url == null && output.deployment.intake_dead_letter_queue_url == null
    error_message = "without triggers nothing of them may exist"
  }
}

run "with_triggers" {
  variables {
    models = {
      sentiment = { models_dir = "tests/models" }
      picture   = { models_dir = "tests/models", memory_mb = 3008 }
      two-files = { models_dir = "tests/models" }
    }
    triggers = {
      uploads = { prefix = "in/", models = ["picture"], caller = "iam:arn:aws:sts::123456789012:assumed-role/app", results = { prefix = "out/", cdn = {} } }
      masks   = { bucket = "masks", models = ["picture", "two-files"], place = "image", caller = "cognito:pool:id", kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/1" }
    }
  }

  assert {
    condition     = output.deployment.function_names.intake == "inference-test-intake" && output.deployment.function_names.results == "inference-test-results" && output.deployment.intake_dead_letter_queue_url != null
    error_message = "what belongs to triggers must be told"
  }

  assert {
    condition     = output.deployment.triggers.uploads.bucket == "inference-test-objects-123456789012-eu-west-1" && output.deployment.triggers.uploads.results.url == "https://mock.cloudfront.net/" && output.deployment.triggers.masks.bucket == "masks" && output.deployment.triggers.masks.results == null
    error_message = "where to put objects, and where results are, must be told"
  }

  assert {
    condition     = length(local.worker_sources["sentiment"]) == 0 && one(local.worker_sources["two-files"]).bucket == "masks" && length(local.worker_sources["picture"]) == 2
    error_message = "a worker may read the objects of its models' triggers alone"
  }

  assert {
    condition     = local.other_memory_mb == { picture = 3008 } && local.writes_results
    error_message = "the intake must know how large an object may be, and the table must have a stream"
  }
}

run "without_backends" {
  assert {
    condition     = length(module.callbacks) == 0 && length(local.extra_routes) == 0 && local.function_names.callbacks == null && local.worker_settings["sentiment"].package.zip.path == "tests/packages/worker-sentiment.zip"
    error_message = "without a backend nothing of them may exist"
  }
}

run "with_a_backend" {
  variables {
    models = {
      sentiment = { models_dir = "tests/models" }
      absent = {
        models_dir          = "tests/models"
        maximum_concurrency = 3
        backend             = { kind = "runpod", endpoint = "abc123", token_secret_arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:runpod-AbCdEf", poll_seconds = { max = 200 } }
      }
    }
    webhooks = null
  }

  assert {
    condition     = local.worker_settings["absent"].package.zip.path == "tests/packages/dispatcher.zip" && local.worker_settings["absent"].package.zip.handler == "worker.dispatch_handler.handler" && local.worker_settings["absent"].timeout_seconds == 60 && local.worker_settings["absent"].batch_size == 1 && local.worker_settings["absent"].memory_mb == 512 && local.worker_settings["absent"].maximum_concurrency == 3
    error_message = "a dispatcher has a package and times of its own; the manifest's are the model's"
  }

  assert {
    condition     = local.backend_settings["absent"].poll_seconds == { min = 2, max = 200 } && local.backend_settings["absent"].callbacks
    error_message = "what a backend does not say is the default"
  }

  assert {
    condition     = length(local.missing_artifacts) == 0
    error_message = "an artifact that only the provider needs is not missed"
  }

  assert {
    condition     = output.deployment.function_names.callbacks == "inference-test-callbacks" && output.deployment.function_names["worker/absent"] == "inference-test-worker-absent" && local.extra_routes["POST /callbacks/{model}/{request_id}/{number}/{signature}"].open
    error_message = "providers must reach the callbacks function"
  }

  assert {
    condition     = jsondecode(module.callbacks[0].environment.MODELS) == { absent = "absent" } && jsondecode(module.callbacks[0].environment.BACKENDS).absent.kind == "runpod"
    error_message = "the callbacks function must know the models that have a backend, and no others"
  }
}

run "settings_of_a_backend_in_the_manifest" {
  variables {
    models = {
      sentiment = { models_dir = "tests/models" }
      weights = {
        models_dir = "tests/models"
        backend    = { token_secret_arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:modal-AbCdEf", url = "https://other.modal.run", callbacks = false }
      }
    }
  }

  assert {
    condition     = local.backends["weights"].kind == "modal" && local.backends["weights"].url == "https://other.modal.run" && local.backends["weights"].poll_seconds == { min = 5, max = 120 }
    error_message = "the manifest's settings hold where the environment says nothing else"
  }

  assert {
    condition     = length(module.callbacks) == 0
    error_message = "a provider that is not to call needs no function for it"
  }
}
