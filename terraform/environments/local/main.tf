# The environment local: an emulator on this machine, which listens on loopback with plain HTTP.
# Other settings have the defaults of terraform/stack/defaults.json; terraform/stack/variables*.tf describe them.

terraform {
  required_version = ">= 1.10"

  required_providers {
    # Pinned exactly, instead of a lock file: docs/adr/0007-no-lock-file.md.
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }
  }
}

locals {
  region = "us-east-1"
}

provider "aws" {
  region = local.region

  default_tags {
    tags = {
      Project     = "inference"
      Environment = "local"
      ManagedBy   = "terraform"
    }
  }
}

module "stack" {
  source = "../../stack"

  name_prefix = "inference-local"

  # To add a model, add a line.
  models = {
    # The visibility timeout is six times this: how long a request waits after its worker was killed.
    sentiment = { timeout_seconds = 15, maximum_concurrency = 2 }
  }
  default_model = "sentiment"

  architecture           = "x86_64"
  images_from_parameters = false # zips

  authorizer          = { type = "NONE" }
  throttling          = { burst = 1000, rate = 1000 }
  tls_only            = false
  deletion_protection = false
  log_retention_days  = 1

  # Short, so that requests end soon.
  requests = { max_attempts = 3, deadline_seconds = 3600, retention_seconds = 86400, retry_base_seconds = 1 }
  sweeper  = { schedule = "rate(1 minute)", grace_seconds = 60 }
}

output "deployment" {
  description = "What scripts and people need to know of the deployment: see terraform/stack/outputs.tf."
  value       = module.stack.deployment
}
