locals {
  needs_authorizer = var.authorizer.type == "JWT"

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

  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.access.arn
    format          = local.access_log_format
  }
}

resource "aws_apigatewayv2_authorizer" "jwt" {
  count = local.needs_authorizer ? 1 : 0

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
  authorization_type = contains(var.open_routes, each.value) ? "NONE" : var.authorizer.type
  authorizer_id      = local.needs_authorizer && !contains(var.open_routes, each.value) ? aws_apigatewayv2_authorizer.jwt[0].id : null
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
