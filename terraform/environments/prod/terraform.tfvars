environment = "prod"

models        = { sentiment = { maximum_concurrency = 50 } }
default_model = "sentiment"
# worker_images = { sentiment = "<ecr_repository_url>@sha256:<digest>" } comes from `-var` or prod.auto.tfvars.

authorizer          = { type = "AWS_IAM" }
throttling          = { burst = 500, rate = 200 }
deletion_protection = true
log_retention_days  = 90
