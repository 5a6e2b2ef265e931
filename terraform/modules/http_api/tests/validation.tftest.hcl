# One run with everything valid, then runs that break each validation once. A run breaks several variables, since each
# run costs a second: it passes only if every variable in expect_failures fails, and nothing else does.

mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name = "inference-test"
  function = {
    name             = "inference-test-api"
    alias_name       = "live"
    alias_invoke_arn = "arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-west-1:123456789012:function:inference-test-api:live/invocations"
  }
  routes             = ["POST /predict", "GET /status/{request_id}"]
  open_routes        = []
  extra_routes       = {}
  authorizer         = { type = "AWS_IAM" }
  throttling         = { burst = 100, rate = 50 }
  cors               = null
  log_retention_days = 30
  kms_key_arn        = null
}

run "valid" {
  command = plan

  assert {
    condition     = length(aws_apigatewayv2_route.this) == 2
    error_message = "each route key becomes a route"
  }
}

run "invalid_1" {
  command = plan
  expect_failures = [
    var.name,
    var.function,
    var.routes,
    var.authorizer,
    var.throttling,
    var.cors,
    var.log_retention_days,
  ]

  variables {
    # name with capitals
    name = "Inference"
    # function by latest
    function = { name = "f", alias_name = "$LATEST", alias_invoke_arn = "arn" }
    # no route
    routes = []
    # authorizer unknown
    authorizer = { type = "CUSTOM" }
    # burst of zero
    throttling = { burst = 0, rate = 50 }
    # cors for everyone
    cors = { allow_origins = ["*"], allow_methods = ["GET", "POST"], allow_headers = ["content-type"], expose_headers = ["location"], max_age_seconds = 300 }
    # log retention unknown
    log_retention_days = 8
  }
}

run "invalid_2" {
  command         = plan
  expect_failures = [var.routes, var.authorizer, var.throttling, var.cors]

  variables {
    # route of everything
    routes = ["$default"]
    # jwt without issuer
    authorizer = { type = "JWT", audience = ["a"] }
    # rate of zero
    throttling = { burst = 100, rate = 0 }
    # cors for nobody
    cors = { allow_origins = [], allow_methods = ["GET", "POST"], allow_headers = ["content-type"], expose_headers = ["location"], max_age_seconds = 300 }
  }
}

run "invalid_3" {
  command         = plan
  expect_failures = [var.routes, var.authorizer, var.cors]

  variables {
    # route with any method
    routes = ["ANY /predict"]
    # jwt without audience
    authorizer = { type = "JWT", issuer = "https://issuer.example" }
    # cors too long
    cors = { allow_origins = ["https://app.example"], allow_methods = ["GET", "POST"], allow_headers = ["content-type"], expose_headers = ["location"], max_age_seconds = 86401 }
  }
}

run "invalid_4" {
  command         = plan
  expect_failures = [var.routes, var.authorizer]

  variables {
    # route without path
    routes = ["POST"]
    # issuer without jwt
    authorizer = { type = "AWS_IAM", issuer = "https://issuer.example" }
  }
}

# With routes that are valid: no rule that reads invalid ones is checked.
run "invalid_5" {
  command         = plan
  expect_failures = [var.open_routes]

  variables {
    # open without being a route
    open_routes = ["GET /health"]
  }
}

run "invalid_6" {
  command         = plan
  expect_failures = [var.authorizer]

  variables {
    # keys without a function
    authorizer = { type = "API_KEY", cache_seconds = 60 }
  }
}

run "invalid_extra_route" {
  command         = plan
  expect_failures = [var.extra_routes]

  variables {
    # catch-all
    extra_routes = { "ANY /{proxy+}" = { open = false, function = { name = "f", alias_name = "live", alias_invoke_arn = "arn" } } }
  }
}

run "more_routes_than_an_api_has" {
  command         = plan
  expect_failures = [var.extra_routes]

  variables {
    extra_routes = { for number in range(300) : "POST /models/m${number}/predict" => { open = false, function = { name = "f${number}", alias_name = "live", alias_invoke_arn = "arn" } } }
  }
}

run "invalid_extra_route_twice" {
  command         = plan
  expect_failures = [var.extra_routes]

  variables {
    # answered by the other function
    extra_routes = { "POST /predict" = { open = false, function = { name = "f", alias_name = "live", alias_invoke_arn = "arn" } } }
  }
}

run "invalid_extra_route_by_latest" {
  command         = plan
  expect_failures = [var.extra_routes]

  variables {
    # by latest
    extra_routes = { "POST /sync" = { open = false, function = { name = "f", alias_name = "$LATEST", alias_invoke_arn = "arn" } } }
  }
}

run "invalid_7" {
  command         = plan
  expect_failures = [var.authorizer]

  variables {
    # function without keys
    authorizer = { type = "AWS_IAM", function = { name = "f", alias_name = "live", alias_invoke_arn = "arn" } }
  }
}

run "invalid_8" {
  command         = plan
  expect_failures = [var.authorizer]

  variables {
    # remembered for too long
    authorizer = { type = "API_KEY", cache_seconds = 3601, function = { name = "f", alias_name = "live", alias_invoke_arn = "arn" } }
  }
}

run "invalid_9" {
  command         = plan
  expect_failures = [var.authorizer]

  variables {
    # authorizer by latest
    authorizer = { type = "API_KEY", cache_seconds = 60, function = { name = "f", alias_name = "$LATEST", alias_invoke_arn = "arn" } }
  }
}
