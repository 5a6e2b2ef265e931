environment = "prod"

models = {
  sentiment = { maximum_concurrency = 50 }
}
default_model = "sentiment"
# worker_images comes from worker_images.auto.tfvars.json, which `make deploy` writes.

authorizer          = { type = "AWS_IAM" }
throttling          = { burst = 500, rate = 200 }
deletion_protection = true
log_retention_days  = 90
