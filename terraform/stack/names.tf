# All names, and the ARNs and URLs made of them. They are built, not read from resources, so that a plan shows each policy in
# full, and functions are created at the same time as queues (a queue takes the provider 25 s).

data "aws_partition" "current" {}
data "aws_caller_identity" "current" {}

# The attribute of aws_region for the name differs between version 5 and 6 of the provider.
data "aws_service" "sqs" {
  service_id = "sqs"
}

locals {
  partition          = data.aws_partition.current.partition
  region_and_account = "${data.aws_service.sqs.region}:${data.aws_caller_identity.current.account_id}"

  # The queue and the worker of a model: those of its pool, else its own.
  worker_of = { for name, model in var.models : name => try(coalesce(model.pool), name) }
  workers   = toset(values(local.worker_of))

  queue_names  = { for worker in local.workers : worker => "${var.name_prefix}-${worker}" }
  worker_names = { for worker in local.workers : worker => "${var.name_prefix}-worker-${worker}" }
  table_name   = "${var.name_prefix}-requests"
  dlq_name     = "${var.name_prefix}-dlq"
  function_names = {
    api          = "${var.name_prefix}-api"
    dead_letters = "${var.name_prefix}-dead-letters"
    sweeper      = "${var.name_prefix}-sweeper"
    batches      = "${var.name_prefix}-batches"
    callbacks    = length(local.called_back) == 0 ? null : "${var.name_prefix}-callbacks"
    authorizer   = local.has_api_keys ? "${var.name_prefix}-authorizer" : null
  }
  batch_queue_name = "${var.name_prefix}-batches"
  key_table_name   = "${var.name_prefix}-api-keys"

  queue_arns      = [for name in values(local.queue_names) : "arn:${local.partition}:sqs:${local.region_and_account}:${name}"]
  batch_queue_arn = "arn:${local.partition}:sqs:${local.region_and_account}:${local.batch_queue_name}"
  dlq_arn         = "arn:${local.partition}:sqs:${local.region_and_account}:${local.dlq_name}"
  worker_logs_arn = "arn:${local.partition}:logs:${local.region_and_account}:log-group:/aws/lambda/${var.name_prefix}-worker-*"
  table_arn       = "arn:${local.partition}:dynamodb:${local.region_and_account}:table/${local.table_name}"
  key_table_arn   = "arn:${local.partition}:dynamodb:${local.region_and_account}:table/${local.key_table_name}"

  # A queue's URL is this and the worker's name, in the form SQS gives it. Clients send it as a parameter and call the
  # endpoint they are configured with, so it holds for an emulator too.
  queue_url_prefix = "https://${data.aws_service.sqs.dns_name}/${data.aws_caller_identity.current.account_id}/${var.name_prefix}-"

  batch_queue_url = "${local.queue_url_prefix}batches"

  pools_json  = jsonencode({ for pool in keys(var.pools) : pool => [for name, worker in local.worker_of : name if worker == pool] })
  models_json = jsonencode({ for name, model in local.model_settings : name => model.source })

  # Lambda's environment is limited to 4 KB. What would take much of it is compressed: the functions read both
  # (lambda/inference/settings.py), and an empty source as the model's name. The validation of `models` checks what is left.
  compresses  = length("${local.models_json}${local.pools_json}") > local.plain_characters
  models_text = local.compresses ? base64gzip(jsonencode(local.other_sources)) : local.models_json
  pools_text  = local.compresses ? base64gzip(local.pools_json) : local.pools_json

  other_sources = { for name, model in local.model_settings : name => model.source == name ? "" : model.source }

  plain_characters = 1000

  # A role's inline policies have 10,240 characters in common, and an ARN of a queue up to 110: what is above so many ARNs is in
  # managed policies of 6,144 characters.
  queue_arn_chunks = chunklist(local.queue_arns, 50)
}
