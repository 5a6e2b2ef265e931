mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name                = "inference-test-requests"
  list_by_caller      = false
  deletion_protection = true
  stream              = false
  kms_key_arn         = null
}

run "table" {
  assert {
    condition     = aws_dynamodb_table.this.billing_mode == "PAY_PER_REQUEST" && aws_dynamodb_table.this.hash_key == "request_id"
    error_message = "the table must cost nothing while nobody calls"
  }

  assert {
    condition     = one(aws_dynamodb_table.this.ttl).attribute_name == "delete_at" && one(aws_dynamodb_table.this.ttl).enabled
    error_message = "old requests must be deleted by delete_at"
  }

  assert {
    condition     = one(aws_dynamodb_table.this.point_in_time_recovery).enabled
    error_message = "the table must be recoverable to a point in time"
  }

  assert {
    condition     = one(aws_dynamodb_table.this.server_side_encryption).enabled
    error_message = "the table must be encrypted"
  }

  assert {
    condition     = aws_dynamodb_table.this.deletion_protection_enabled
    error_message = "deletion protection must be on unless it is said otherwise"
  }

  assert {
    condition = toset([for index in aws_dynamodb_table.this.global_secondary_index : join(" ", [index.name, index.hash_key, index.range_key, index.projection_type])]) == toset([
      "open open_shard submitted_at KEYS_ONLY",
      "webhooks webhook_shard webhook_due KEYS_ONLY",
    ])
    error_message = "the sparse indexes of open requests and of due webhooks must be there, with the keys alone"
  }

  assert {
    condition     = !aws_dynamodb_table.this.stream_enabled && output.stream_arn == null
    error_message = "the table has a stream only where something follows from it"
  }
}

run "with_a_stream" {
  variables {
    stream = true
  }

  assert {
    condition     = aws_dynamodb_table.this.stream_enabled && aws_dynamodb_table.this.stream_view_type == "NEW_IMAGE" && output.stream_arn != null
    error_message = "the stream must have the new images: the filter of its mapping reads them"
  }
}

run "listed_by_caller" {
  variables {
    list_by_caller = true
  }

  assert {
    condition = { for index in aws_dynamodb_table.this.global_secondary_index : index.name => [index.hash_key, index.range_key, index.projection_type] } == {
      open     = ["open_shard", "submitted_at", "KEYS_ONLY"]
      webhooks = ["webhook_shard", "webhook_due", "KEYS_ONLY"]
      caller   = ["caller", "submitted_at", "INCLUDE"]
    }
    error_message = "the index of callers must be there"
  }

  assert {
    condition     = one([for index in aws_dynamodb_table.this.global_secondary_index : index.non_key_attributes if index.name == "caller"]) == toset(["model"])
    error_message = "only what never changes may be in the index of callers: another attribute would be one more write of each change"
  }
}

run "with_a_key" {
  variables {
    kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/1"
  }

  assert {
    condition     = one(aws_dynamodb_table.this.server_side_encryption).enabled && one(aws_dynamodb_table.this.server_side_encryption).kms_key_arn == var.kms_key_arn
    error_message = "the key must encrypt the table"
  }
}
