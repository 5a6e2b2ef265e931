environment = "dev"

models = {
  sentiment = { maximum_concurrency = 5 }
}
default_model = "sentiment"
# Which images run the models is in SSM parameters, which `make deploy` writes: everybody's plan reads the same.

authorizer          = { type = "AWS_IAM" }
deletion_protection = false
log_retention_days  = 14
