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
  routes             = ["POST /predict", "POST /predict/{model}", "GET /status/{request_id}", "GET /health"]
  open_routes        = ["GET /health"]
  extra_routes       = {}
  authorizer         = { type = "AWS_IAM" }
  throttling         = { burst = 100, rate = 50 }
  cors               = null
  log_retention_days = 30
  kms_key_arn        = null
}

run "signed_requests" {
  assert {
    condition     = toset(keys(aws_apigatewayv2_route.this)) == var.routes && alltrue([for key, route in aws_apigatewayv2_route.this : route.route_key == key])
    error_message = "each route is known by its route key"
  }

  assert {
    condition     = alltrue([for key, route in aws_apigatewayv2_route.this : route.authorization_type == (key == "GET /health" ? "NONE" : "AWS_IAM") && route.authorizer_id == null])
    error_message = "every route that is not open must demand a signed request"
  }

  assert {
    condition     = aws_apigatewayv2_integration.this.integration_uri == var.function.alias_invoke_arn && aws_apigatewayv2_integration.this.payload_format_version == "2.0"
    error_message = "the API must invoke the alias, with payload format 2.0"
  }

  assert {
    condition = toset([for permission in aws_lambda_permission.route : permission.source_arn]) == toset([
      "arn:aws:execute-api:eu-west-1:123456789012:mockapi/*/POST/predict",
      "arn:aws:execute-api:eu-west-1:123456789012:mockapi/*/POST/predict/{model}",
      "arn:aws:execute-api:eu-west-1:123456789012:mockapi/*/GET/status/{request_id}",
      "arn:aws:execute-api:eu-west-1:123456789012:mockapi/*/GET/health",
    ])
    error_message = "only this API's routes may invoke the function"
  }

  assert {
    condition     = alltrue([for permission in aws_lambda_permission.route : permission.qualifier == "live"])
    error_message = "the permission must be the alias's: one on the function does not cover it"
  }

  assert {
    condition     = one(aws_apigatewayv2_stage.default.default_route_settings).throttling_burst_limit == 100 && one(aws_apigatewayv2_stage.default.default_route_settings).throttling_rate_limit == 50
    error_message = "every route must be throttled"
  }

  assert {
    condition     = one(aws_cloudwatch_log_group.access).retention_in_days == 30 && can(jsondecode(one(aws_apigatewayv2_stage.default.access_log_settings).format))
    error_message = "the access log must be JSON, in a group with a retention"
  }

  assert {
    condition     = length(aws_apigatewayv2_api.this.cors_configuration) == 0
    error_message = "no web page of another origin may call unless it is said"
  }

  assert {
    condition     = output.url == "https://mockapi.execute-api.eu-west-1.amazonaws.com"
    error_message = "the URL has no slash at the end"
  }
}

run "tokens" {
  variables {
    authorizer = { type = "JWT", issuer = "https://issuer.example", audience = ["inference"] }
  }

  assert {
    condition     = alltrue([for key, route in aws_apigatewayv2_route.this : route.authorization_type == "JWT" && route.authorizer_id == aws_apigatewayv2_authorizer.jwt[0].id if key != "GET /health"])
    error_message = "every route that is not open must demand a token of the issuer"
  }

  assert {
    condition     = aws_apigatewayv2_route.this["GET /health"].authorization_type == "NONE" && aws_apigatewayv2_route.this["GET /health"].authorizer_id == null
    error_message = "an open route must demand nothing"
  }

  assert {
    condition     = one(aws_apigatewayv2_authorizer.jwt[0].jwt_configuration).issuer == "https://issuer.example" && length(aws_apigatewayv2_authorizer.api_key) == 0
    error_message = "the issuer must be the one that was given"
  }
}

run "keys" {
  variables {
    authorizer = {
      type          = "API_KEY"
      cache_seconds = 60
      function = {
        name             = "inference-test-authorizer"
        alias_name       = "live"
        alias_invoke_arn = "arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-west-1:123456789012:function:inference-test-authorizer:live/invocations"
      }
    }
  }

  assert {
    condition     = alltrue([for key, route in aws_apigatewayv2_route.this : route.authorization_type == "CUSTOM" && route.authorizer_id == aws_apigatewayv2_authorizer.api_key[0].id if key != "GET /health"])
    error_message = "every route that is not open must demand a key"
  }

  assert {
    condition     = aws_apigatewayv2_route.this["GET /health"].authorization_type == "NONE" && aws_apigatewayv2_route.this["GET /health"].authorizer_id == null
    error_message = "an open route must demand nothing"
  }

  assert {
    condition     = aws_apigatewayv2_authorizer.api_key[0].identity_sources == toset(["$request.header.X-Api-Key"])
    error_message = "the key must be in the one header that clients send, else answers are remembered for something else"
  }

  assert {
    condition     = aws_apigatewayv2_authorizer.api_key[0].authorizer_type == "REQUEST" && aws_apigatewayv2_authorizer.api_key[0].authorizer_payload_format_version == "2.0" && aws_apigatewayv2_authorizer.api_key[0].enable_simple_responses
    error_message = "the function answers in the simple format of payload 2.0"
  }

  assert {
    condition     = aws_apigatewayv2_authorizer.api_key[0].authorizer_result_ttl_in_seconds == 60 && aws_apigatewayv2_authorizer.api_key[0].authorizer_uri == var.authorizer.function.alias_invoke_arn
    error_message = "API Gateway must ask the alias, and remember what it says as long as it was told"
  }

  assert {
    condition     = aws_lambda_permission.authorizer[0].source_arn == "arn:aws:execute-api:eu-west-1:123456789012:mockapi/authorizers/mockauthorizer" && aws_lambda_permission.authorizer[0].qualifier == "live" && aws_lambda_permission.authorizer[0].function_name == "inference-test-authorizer"
    error_message = "only this API's authorizer may invoke the function, by its alias"
  }

  assert {
    condition     = length(aws_apigatewayv2_authorizer.jwt) == 0
    error_message = "there is one authorizer"
  }
}

run "open_with_cors" {
  variables {
    authorizer = { type = "NONE" }
    cors       = { allow_origins = ["https://app.example"], allow_methods = ["GET", "POST"], allow_headers = ["content-type"], expose_headers = ["location"], max_age_seconds = 300 }
  }

  assert {
    condition     = alltrue([for route in aws_apigatewayv2_route.this : route.authorization_type == "NONE"])
    error_message = "NONE opens the routes"
  }

  assert {
    condition     = one(aws_apigatewayv2_api.this.cors_configuration).allow_headers == toset(["content-type"])
    error_message = "a page may send the headers that were given"
  }

  assert {
    condition     = one(aws_apigatewayv2_api.this.cors_configuration).allow_origins == toset(["https://app.example"])
    error_message = "only the origin that was given may call"
  }
}

run "without_an_access_log" {
  variables {
    log_retention_days = null
  }

  assert {
    condition     = length(aws_cloudwatch_log_group.access) + length(aws_apigatewayv2_stage.default.access_log_settings) == 0
    error_message = "without a retention there is no access log"
  }
}

run "with_a_key" {
  variables {
    kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/1"
  }

  assert {
    condition     = one(aws_cloudwatch_log_group.access).kms_key_id == var.kms_key_arn
    error_message = "the key must encrypt the access log"
  }
}

run "routes_of_functions_of_their_own" {
  variables {
    extra_routes = {
      "POST /models/sentiment/predict" = { open = false, function = { name = "sync", alias_name = "live", alias_invoke_arn = "arn:sync" } }
      "GET /models/sentiment/health"   = { open = false, function = { name = "sync", alias_name = "live", alias_invoke_arn = "arn:sync" } }
      "POST /callbacks/{model}"        = { open = true, function = { name = "callbacks", alias_name = "live", alias_invoke_arn = "arn:callbacks" } }
    }
  }

  assert {
    condition = { for key, route in aws_apigatewayv2_route.extra : key => route.authorization_type } == {
      "POST /models/sentiment/predict" = "AWS_IAM"
      "GET /models/sentiment/health"   = "AWS_IAM"
      "POST /callbacks/{model}"        = "NONE"
    }
    error_message = "a route is open only where that is said"
  }

  assert {
    condition     = { for name, integration in aws_apigatewayv2_integration.extra : name => integration.integration_uri } == { sync = "arn:sync", callbacks = "arn:callbacks" }
    error_message = "each function is integrated once, by its alias"
  }

  assert {
    condition = { for permission in aws_lambda_permission.extra : permission.source_arn => permission.function_name } == {
      "arn:aws:execute-api:eu-west-1:123456789012:mockapi/*/POST/models/sentiment/predict" = "sync"
      "arn:aws:execute-api:eu-west-1:123456789012:mockapi/*/GET/models/sentiment/health"   = "sync"
      "arn:aws:execute-api:eu-west-1:123456789012:mockapi/*/POST/callbacks/{model}"        = "callbacks"
    }
    error_message = "each function may be invoked by its routes alone"
  }

  assert {
    condition     = length(aws_apigatewayv2_route.this) == 4
    error_message = "the other routes stay"
  }
}

run "a_function_with_many_routes" {
  variables {
    extra_routes = merge(
      { for number in range(90) : "POST /models/m${number}/predict" => { open = false, function = { name = "pool", alias_name = "live", alias_invoke_arn = "arn:pool" } } },
      { "POST /models/alone/predict" = { open = false, function = { name = "alone", alias_name = "live", alias_invoke_arn = "arn:alone" } } },
    )
  }

  assert {
    condition = { for permission in aws_lambda_permission.extra : permission.source_arn => "${permission.function_name}:${permission.qualifier}" } == {
      "arn:aws:execute-api:eu-west-1:123456789012:mockapi/*/*/models/*"                = "pool:live"
      "arn:aws:execute-api:eu-west-1:123456789012:mockapi/*/POST/models/alone/predict" = "alone:live"
    }
    error_message = "ninety permissions exceed the 20 KB that Lambda takes"
  }

  assert {
    condition     = length(aws_apigatewayv2_integration.extra) == 2 && length(aws_apigatewayv2_route.extra) == 91
    error_message = "each route stays, with one integration for each function"
  }
}
