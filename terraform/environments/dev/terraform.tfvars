environment = "dev"

models = {
  sentiment = { maximum_concurrency = 5 }
}
default_model = "sentiment"
# worker_images comes from worker_images.auto.tfvars.json, which `make deploy` writes.

authorizer          = { type = "AWS_IAM" }
deletion_protection = false
log_retention_days  = 14
