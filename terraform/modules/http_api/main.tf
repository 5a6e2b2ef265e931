locals {
  # What API Gateway calls each type, of a route. CUSTOM is a function of one's own.
  route_authorization = var.authorizer.type == "API_KEY" ? "CUSTOM" : var.authorizer.type
  authorizer_id       = one(concat(aws_apigatewayv2_authorizer.jwt[*].id, aws_apigatewayv2_authorizer.api_key[*].id))

  functions_of_many_routes = [
    for name, routes in { for key, route in var.extra_routes : route.function.name => key... } : name if length(routes) > 30
  ]

  # One JSON object a request. $context names are API Gateway's.
  access_log_format = jsonencode({
    request_id        = "$context.requestId"
    time              = "$context.requestTime"
    source_ip         = "$context.identity.sourceIp"
    route             = "$context.routeKey"
    path              = "$context.path"
    protocol          = "$context.protocol"
    status            = "$context.status"
    response_bytes    = "$context.responseLength"
    duration_ms       = "$context.responseLatency"
    integration_ms    = "$context.integrationLatency"
    integration_error = "$context.integrationErrorMessage"
    authorizer_error  = "$context.authorizer.error"
  })
}

resource "aws_apigatewayv2_api" "this" {
  name          = var.name
  description   = "Submit an inference request, and follow it."
  protocol_type = "HTTP"

  dynamic "cors_configuration" {
    for_each = var.cors == null ? [] : [var.cors]

    content {
      allow_origins  = cors_configuration.value.allow_origins
      allow_methods  = cors_configuration.value.allow_methods
      allow_headers  = cors_configuration.value.allow_headers
      expose_headers = cors_configuration.value.expose_headers
      max_age        = cors_configuration.value.max_age_seconds
    }
  }
}

resource "aws_cloudwatch_log_group" "access" {
  count = var.log_retention_days == null ? 0 : 1

  name              = "/aws/apigateway/${var.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

resource "aws_apigatewayv2_stage" "default" {
  api_id      = aws_apigatewayv2_api.this.id
  name        = "$default"
  auto_deploy = true

  default_route_settings {
    throttling_burst_limit = var.throttling.burst
    throttling_rate_limit  = var.throttling.rate
  }

  dynamic "access_log_settings" {
    for_each = aws_cloudwatch_log_group.access

    content {
      destination_arn = access_log_settings.value.arn
      format          = local.access_log_format
    }
  }
}

resource "aws_apigatewayv2_authorizer" "jwt" {
  count = var.authorizer.type == "JWT" ? 1 : 0

  api_id           = aws_apigatewayv2_api.this.id
  name             = "jwt"
  authorizer_type  = "JWT"
  identity_sources = ["$request.header.Authorization"]

  jwt_configuration {
    issuer   = var.authorizer.issuer
    audience = var.authorizer.audience
  }

  # API Gateway refuses to delete an authorizer that a route uses. With this the routes are changed first, also where no
  # new authorizer is created.
  lifecycle {
    create_before_destroy = true
  }
}

# Without the header API Gateway answers 401 and asks nobody. Else the function is asked, and what it says of a key holds for
# all routes, for so many seconds.
resource "aws_apigatewayv2_authorizer" "api_key" {
  count = var.authorizer.type == "API_KEY" ? 1 : 0

  api_id                            = aws_apigatewayv2_api.this.id
  name                              = "api-key"
  authorizer_type                   = "REQUEST"
  identity_sources                  = ["$request.header.X-Api-Key"]
  authorizer_uri                    = var.authorizer.function.alias_invoke_arn
  authorizer_payload_format_version = "2.0"
  enable_simple_responses           = true
  authorizer_result_ttl_in_seconds  = var.authorizer.cache_seconds

  # As above.
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_lambda_permission" "authorizer" {
  count = var.authorizer.type == "API_KEY" ? 1 : 0

  function_name = var.authorizer.function.name
  qualifier     = var.authorizer.function.alias_name
  action        = "lambda:InvokeFunction"
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.this.execution_arn}/authorizers/${aws_apigatewayv2_authorizer.api_key[0].id}"

  # Without it every call is a 500: it is there before the routes need it, and as long as they do.
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_apigatewayv2_integration" "this" {
  api_id                 = aws_apigatewayv2_api.this.id
  integration_type       = "AWS_PROXY"
  integration_uri        = var.function.alias_invoke_arn
  payload_format_version = "2.0"
}

resource "aws_apigatewayv2_route" "this" {
  for_each = var.routes

  api_id             = aws_apigatewayv2_api.this.id
  route_key          = each.value
  target             = "integrations/${aws_apigatewayv2_integration.this.id}"
  authorization_type = contains(var.open_routes, each.value) ? "NONE" : local.route_authorization
  authorizer_id      = contains(var.open_routes, each.value) ? null : local.authorizer_id

  depends_on = [aws_lambda_permission.authorizer]
}

# The routes of functions of their own.
resource "aws_apigatewayv2_integration" "extra" {
  for_each = { for route in values(var.extra_routes) : route.function.name => route.function... }

  api_id                 = aws_apigatewayv2_api.this.id
  integration_type       = "AWS_PROXY"
  integration_uri        = each.value[0].alias_invoke_arn
  payload_format_version = "2.0"
}

resource "aws_apigatewayv2_route" "extra" {
  for_each = var.extra_routes

  api_id             = aws_apigatewayv2_api.this.id
  route_key          = each.key
  target             = "integrations/${aws_apigatewayv2_integration.extra[each.value.function.name].id}"
  authorization_type = each.value.open ? "NONE" : local.route_authorization
  authorizer_id      = each.value.open ? null : local.authorizer_id

  depends_on = [aws_lambda_permission.authorizer]
}

# One a route; of a function with many routes, one for all that begin in the same way: Lambda takes 20 KB of permissions.
resource "aws_lambda_permission" "extra" {
  for_each = merge(
    { for key, route in var.extra_routes : key => merge(route.function, { path = replace(key, " ", "") }) if !contains(local.functions_of_many_routes, route.function.name) },
    { for key, functions in {
      for key, route in var.extra_routes : "${route.function.name} ${split("/", key)[1]}" => route.function... if contains(local.functions_of_many_routes, route.function.name)
    } : key => merge(functions[0], { path = "*/${split(" ", key)[1]}/*" }) },
  )

  function_name = each.value.name
  qualifier     = each.value.alias_name
  action        = "lambda:InvokeFunction"
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.this.execution_arn}/*/${each.value.path}"
}

# One permission a route, so that nothing else of this API, and no other API, can invoke the function.
# The star is the stage: there is only $default.
resource "aws_lambda_permission" "route" {
  for_each = var.routes

  function_name = var.function.name
  qualifier     = var.function.alias_name
  action        = "lambda:InvokeFunction"
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.this.execution_arn}/*/${replace(each.value, " ", "")}"
}
