resource "aws_dynamodb_table" "this" {
  name                        = var.name
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "request_id"
  deletion_protection_enabled = var.deletion_protection

  # Without a reader a stream costs nothing, and Lambda reads it without charge.
  stream_enabled   = var.stream
  stream_view_type = var.stream ? "NEW_IMAGE" : null

  attribute {
    name = "request_id"
    type = "S"
  }

  attribute {
    name = "open_shard"
    type = "S"
  }

  attribute {
    name = "submitted_at"
    type = "N"
  }

  attribute {
    name = "webhook_shard"
    type = "S"
  }

  attribute {
    name = "webhook_due"
    type = "N"
  }

  # Written once for a request: an outcome leaves it, TTL deletes it, and the sweeper passes it once (docs/adr/0022-cost-per-request.md).
  global_secondary_index {
    name            = "open"
    hash_key        = "open_shard"
    range_key       = "submitted_at"
    projection_type = "KEYS_ONLY"
  }

  # Sparse: only a request whose webhook is to be sent, so one without a webhook costs nothing here.
  global_secondary_index {
    name            = "webhooks"
    hash_key        = "webhook_shard"
    range_key       = "webhook_due"
    projection_type = "KEYS_ONLY"
  }

  # Its attributes never change, so a request is written to it once.
  dynamic "attribute" {
    for_each = var.list_by_caller ? ["caller"] : []

    content {
      name = "caller"
      type = "S"
    }
  }

  dynamic "global_secondary_index" {
    for_each = var.list_by_caller ? ["caller"] : []

    content {
      name               = "caller"
      hash_key           = "caller"
      range_key          = "submitted_at"
      projection_type    = "INCLUDE"
      non_key_attributes = ["model"]
    }
  }

  ttl {
    attribute_name = "delete_at"
    enabled        = true
  }

  point_in_time_recovery {
    enabled = true
  }

  server_side_encryption {
    enabled     = true
    kms_key_arn = var.kms_key_arn
  }
}
