# One optional key of the account's own. Who uses it: the functions, by way of SQS, DynamoDB and S3 (below and in the worker
# module); CloudWatch Logs and CloudWatch's alarms, by right of the key's policy (docs/key-policy.json); ECR, by grants of its own.

locals {
  # A send needs both: SQS generates a data key, and checks it. The sweeper sends webhooks' messages; without webhooks it only counts messages.
  keys = { for function, uses in {
    api          = { decrypts_by = ["dynamodb", "s3", "sqs"], encrypts_by = ["s3", "sqs"] }
    dead_letters = { decrypts_by = ["dynamodb", "sqs"], encrypts_by = [] }
    sweeper = {
      decrypts_by = concat(["dynamodb"], var.webhooks == null ? [] : ["sqs"])
      encrypts_by = var.webhooks == null ? [] : ["sqs"]
    }
    batches    = { decrypts_by = ["dynamodb", "s3", "sqs"], encrypts_by = ["s3", "sqs"] }
    callbacks  = { decrypts_by = ["dynamodb"], encrypts_by = ["s3"] }
    authorizer = { decrypts_by = ["dynamodb"], encrypts_by = [] }
  } : function => var.kms_key_arn == null ? null : merge({ arn = var.kms_key_arn }, uses) }
}
