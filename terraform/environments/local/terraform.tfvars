# An emulator on this machine, which listens on loopback and speaks plain HTTP.
environment = "local"
region      = "us-east-1"

models = {
  # The visibility timeout is six times this: how long a request waits after its worker was killed.
  sentiment = { timeout_seconds = 15, maximum_concurrency = 2 }
}
default_model          = "sentiment"
images_from_parameters = false # zips

authorizer          = { type = "NONE" }
throttling          = { burst = 1000, rate = 1000 }
tls_only            = false
deletion_protection = false
log_retention_days  = 1

# Short, so that what is stuck is seen to end.
requests = { max_attempts = 3, max_receive_count = 12, deadline_seconds = 3600, retention_seconds = 86400, retry_base_seconds = 1 }
sweeper  = { schedule = "rate(1 minute)", grace_seconds = 60 }
