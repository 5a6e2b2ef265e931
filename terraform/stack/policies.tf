# One document per capability, exact ARNs. The workers' are in the worker module.

data "aws_iam_policy_document" "api_table" {
  statement {
    actions = [
      "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem",
      "dynamodb:BatchGetItem", "dynamodb:PartiQLInsert", "dynamodb:PartiQLUpdate",
    ]
    resources = [local.table_arn]
  }

  dynamic "statement" {
    for_each = local.requests.list_by_caller ? ["${local.table_arn}/index/caller"] : []

    content {
      actions   = ["dynamodb:Query"]
      resources = [statement.value]
    }
  }
}

data "aws_iam_policy_document" "api_queue" {
  statement {
    actions   = ["sqs:SendMessage"]
    resources = concat(local.queue_arn_chunks[0], [local.batch_queue_arn])
  }
}

# The other models' queues, of the functions that use all.
data "aws_iam_policy_document" "more_queues" {
  for_each = merge([for action in ["SendMessage", "GetQueueAttributes"] : {
    for index, arns in local.queue_arn_chunks : "${action}-${index + 1}" => { action = action, arns = arns } if index > 0
  }]...)

  statement {
    actions   = ["sqs:${each.value.action}"]
    resources = each.value.arns
  }
}

locals {
  more_queues = { for action in ["SendMessage", "GetQueueAttributes"] : action => {
    for key, document in data.aws_iam_policy_document.more_queues : replace(key, action, "queue") => document.json if startswith(key, action)
  } }
}

data "aws_iam_policy_document" "dead_letters_table" {
  statement {
    actions   = ["dynamodb:GetItem", "dynamodb:UpdateItem"]
    resources = [local.table_arn]
  }
}

data "aws_iam_policy_document" "dead_letters_queue" {
  statement {
    actions   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
    resources = [local.dlq_arn]
  }
}

# The reason why a worker was stopped is in its log: Lambda writes timeouts and out-of-memory kills there. The only resource
# with a pattern: group and streams have different ARNs, and two for each of fifty models exceed the limit of a role's policies.
data "aws_iam_policy_document" "dead_letters_logs" {
  statement {
    actions   = ["logs:FilterLogEvents", "logs:GetLogEvents"]
    resources = [local.worker_logs_arn]
  }
}

data "aws_iam_policy_document" "sweeper_table" {
  statement {
    actions   = ["dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:UpdateItem"]
    resources = [local.table_arn]
  }

  statement {
    actions   = ["dynamodb:Query"]
    resources = concat(["${local.table_arn}/index/open"], var.webhooks == null ? [] : ["${local.table_arn}/index/webhooks"])
  }
}

data "aws_iam_policy_document" "sweeper_queue" {
  statement {
    actions   = ["sqs:GetQueueAttributes"]
    resources = concat(local.queue_arn_chunks[0], [local.dlq_arn])
  }

  dynamic "statement" {
    for_each = local.webhook_queue_arns

    content {
      actions   = ["sqs:SendMessage"]
      resources = [statement.value]
    }
  }
}
