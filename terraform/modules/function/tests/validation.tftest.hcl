# One run with everything valid, then runs that break each validation once. A run breaks several variables, since each
# run costs a second: it passes only if every variable in expect_failures fails, and nothing else does.

mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name        = "inference-test-api"
  description = "Answers."
  package     = { zip = { path = "main.tf", handler = "api.handler", runtime = "python3.13" } }

  architecture         = "x86_64"
  memory_mb            = 256
  ephemeral_storage_mb = 512
  timeout_seconds      = 30
  environment          = { LOG_LEVEL = "INFO" }
  warmth               = {}
  rollout              = {}
  reserved_concurrency = null
  log_retention_days   = 30
  tracing              = false
  invocation_lines     = false
  attached_policies    = {}
  policies             = {}
  key                  = null
  vpc                  = null
}

run "valid" {
  command = plan

  assert {
    condition     = aws_lambda_function.this.package_type == "Zip"
    error_message = "the zip must be deployed as a zip"
  }
}

run "invalid_1" {
  command = plan
  expect_failures = [
    var.description,
    var.package,
    var.architecture,
    var.memory_mb,
    var.ephemeral_storage_mb,
    var.timeout_seconds,
    var.environment,
    var.policies,
    var.log_retention_days,
  ]

  variables {
    # description empty
    description = ""
    # package of nothing
    package = {}
    # architecture unknown
    architecture = "riscv"
    # memory too small
    memory_mb = 127
    # disk too small
    ephemeral_storage_mb = 511
    # timeout of zero
    timeout_seconds = 0
    # environment with a hyphen
    environment = { "with-hyphen" = "x" }
    # policy with the modules name
    policies = { own-log = "{}" }
    # log retention unknown
    log_retention_days = 8
  }
}

run "invalid_2" {
  command = plan
  expect_failures = [
    var.package,
    var.memory_mb,
    var.timeout_seconds,
    var.policies,
    var.log_retention_days,
  ]

  variables {
    # package of both
    package = {
      zip   = { path = "main.tf", handler = "api.handler", runtime = "python3.13" }
      image = { uri = "repository@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" }
    }
    # memory too large
    memory_mb = 10241
    # timeout too long
    timeout_seconds = 901
    # policies too long
    policies = { queue = jsonencode({ Resource = [for i in range(150) : "arn:aws:sqs:eu-west-1:123456789012:inference-test-a-long-name-${i}"] }) }
    # log retention of ever
    log_retention_days = 0
  }
}

run "invalid_3" {
  command         = plan
  expect_failures = [var.package, var.memory_mb, var.environment, var.attached_policies]

  variables {
    # environment too long, since each quote counts twice
    environment = { MODELS = jsonencode({ for i in range(250) : "model-${i}" => "model-${i}" }) }
    # attached policy too long
    attached_policies = { queue-2 = jsonencode({ Resource = [for i in range(100) : "arn:aws:sqs:eu-west-1:123456789012:inference-test-a-long-name-${i}"] }) }
    # image by tag
    package = { image = { uri = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/worker:latest" } }
    # memory with fraction
    memory_mb = 256.5
  }
}

run "image_by_tag_and_digest" {
  command         = plan
  expect_failures = [var.package, var.attached_policies]

  variables {
    # more attached policies than a role may have
    attached_policies = { for i in range(11) : "queue-${i}" => "{}" }
    package           = { image = { uri = "repository:latest@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" } }
  }
}

run "image_by_short_digest" {
  command         = plan
  expect_failures = [var.package]

  variables {
    package = { image = { uri = "repository@sha256:abc" } }
  }
}

run "zip_that_is_not_there" {
  command         = plan
  expect_failures = [var.package]

  variables {
    package = { zip = { path = "missing.zip", handler = "api.handler", runtime = "python3.13" } }
  }
}

run "runtime_too_old" {
  command         = plan
  expect_failures = [var.package]

  variables {
    package = { zip = { path = "main.tf", handler = "api.handler", runtime = "python3.9" } }
  }
}

run "handler_without_module" {
  command         = plan
  expect_failures = [var.package]

  variables {
    package = { zip = { path = "main.tf", handler = "handler", runtime = "python3.13" } }
  }
}

run "reserved_below_provisioned" {
  command         = plan
  expect_failures = [var.reserved_concurrency]

  variables {
    reserved_concurrency = 1
    warmth               = { provisioned = 2 }
  }
}

run "reserved_zero" {
  command         = plan
  expect_failures = [var.reserved_concurrency]

  variables {
    reserved_concurrency = 0
  }
}

run "warmth_of_wrong_values" {
  command         = plan
  expect_failures = [var.warmth]

  variables {
    warmth = {
      provisioned = 1.5
      scheduled   = { concurrency = 0, start = "cron(0 8 * * 1-5)", stop = "cron(0 18 ? * MON-FRI *)", timezone = "+02:00" }
      tracking    = { min = 0, max = 4, target = 1 }
      warmer      = { environments = 6, schedule = "rate(1 minutes)" }
    }
  }
}

run "tracking_backwards" {
  command         = plan
  expect_failures = [var.warmth]

  variables {
    warmth = { tracking = { min = 5, max = 4, target = 0.7 } }
  }
}

run "provisioned_and_tracking" {
  command         = plan
  expect_failures = [var.warmth]

  variables {
    warmth = { provisioned = 1, tracking = { min = 1, max = 4, target = 0.7 } }
  }
}

run "scheduled_and_tracking" {
  command         = plan
  expect_failures = [var.warmth]

  variables {
    warmth = { tracking = { min = 1, max = 4, target = 0.7 }, scheduled = { concurrency = 1, start = "cron(0 8 ? * MON-FRI *)", stop = "cron(0 18 ? * MON-FRI *)", timezone = "UTC" } }
  }
}

run "snapshot_and_provisioned" {
  command         = plan
  expect_failures = [var.warmth]

  variables {
    warmth = { snap_start = true, provisioned = 1 }
  }
}

run "warmer_and_provisioned" {
  command         = plan
  expect_failures = [var.warmth]

  variables {
    warmth = { warmer = { environments = 1, schedule = "rate(5 minutes)" }, provisioned = 1 }
  }
}

run "snapshot_of_an_image" {
  command         = plan
  expect_failures = [var.warmth]

  variables {
    warmth  = { snap_start = true }
    package = { image = { uri = "repository@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" } }
  }
}

run "snapshot_of_a_large_disk" {
  command         = plan
  expect_failures = [var.warmth]

  variables {
    warmth               = { snap_start = true }
    ephemeral_storage_mb = 513
  }
}

run "reserved_below_tracking" {
  command         = plan
  expect_failures = [var.reserved_concurrency]

  variables {
    reserved_concurrency = 3
    warmth               = { tracking = { min = 1, max = 4, target = 0.7 } }
  }
}

run "reserved_for_pings_alone" {
  command         = plan
  expect_failures = [var.reserved_concurrency]

  variables {
    reserved_concurrency = 2
    warmth               = { warmer = { environments = 2, schedule = "rate(5 minutes)" } }
  }
}

# A wrong name is alone: the other messages name the function, so Terraform comes to them only where it is right.
run "name_with_capitals" {
  command         = plan
  expect_failures = [var.name]

  variables {
    name = "Inference"
  }
}

run "canary_of_everything" {
  command         = plan
  expect_failures = [var.rollout]

  variables {
    # a share of one is no canary; kept is no number
    rollout = { canary = 1, kept = { version = "$LATEST", rejected = [], package_type = "Zip" } }
  }
}

run "canary_and_provisioned_concurrency" {
  command         = plan
  expect_failures = [var.rollout]

  variables {
    # weights and provisioned concurrency
    rollout = { canary = 0.1 }
    warmth  = { tracking = { min = 1, max = 2, target = 0.7 } }
  }
}
