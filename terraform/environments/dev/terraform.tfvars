environment = "dev"

models        = { sentiment = { maximum_concurrency = 5 } }
default_model = "sentiment"
# worker_images = { sentiment = "<ecr_repository_url>@sha256:<digest>" } comes from `-var` or dev.auto.tfvars.

authorizer          = { type = "AWS_IAM" }
deletion_protection = false
log_retention_days  = 14
