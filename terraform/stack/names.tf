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

  queue_names  = { for name in keys(var.models) : name => "${var.name_prefix}-${name}" }
  worker_names = { for name in keys(var.models) : name => "${var.name_prefix}-worker-${name}" }
  table_name   = "${var.name_prefix}-requests"
  function_names = {
    api          = "${var.name_prefix}-api"
    dead_letters = "${var.name_prefix}-dead-letters"
    sweeper      = "${var.name_prefix}-sweeper"
  }

  queue_arns      = [for name in values(local.queue_names) : "arn:${local.partition}:sqs:${local.region_and_account}:${name}"]
  dlq_arns        = [for arn in local.queue_arns : "${arn}-dlq"]
  worker_logs_arn = "arn:${local.partition}:logs:${local.region_and_account}:log-group:/aws/lambda/${var.name_prefix}-worker-*"
  table_arn       = "arn:${local.partition}:dynamodb:${local.region_and_account}:table/${local.table_name}"

  # A queue's URL is this and the model's name, in the form SQS gives it. Clients send it as a parameter and call the
  # endpoint they are configured with, so it holds for an emulator too.
  queue_url_prefix = "https://${data.aws_service.sqs.dns_name}/${data.aws_caller_identity.current.account_id}/${var.name_prefix}-"

  # Lambda's environment is limited to 4 KB; the validation of `models` checks this.
  models_json = jsonencode({ for name, model in local.model_settings : name => model.source })
}
