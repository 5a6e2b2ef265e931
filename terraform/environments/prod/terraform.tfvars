environment = "prod"

models = {
  sentiment = { maximum_concurrency = 50 }
}
default_model = "sentiment"
# Which images run the models is in SSM parameters, which `make deploy` writes: everybody's plan reads the same.

authorizer          = { type = "AWS_IAM" }
throttling          = { burst = 500, rate = 200 }
deletion_protection = true
log_retention_days  = 90
