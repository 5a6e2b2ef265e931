# The environment prod: the place of its state, its region, what is deployed.
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

  # Partial: bucket, key and region come from backend.hcl (see backend.hcl.example).
  backend "s3" {
    encrypt      = true
    use_lockfile = true
  }
}

locals {
  region = null # null: from AWS_REGION or the profile
}

provider "aws" {
  region = local.region

  default_tags {
    tags = {
      Project     = "inference"
      Environment = "prod"
      ManagedBy   = "terraform"
    }
  }
}

module "stack" {
  source = "../../stack"

  name_prefix = "inference-prod"

  # To add a model, add a line.
  models = {
    sentiment = { maximum_concurrency = 50 }
  }
  default_model = "sentiment"

  architecture           = "x86_64"
  images_from_parameters = true # which `make deploy` writes: everybody's plan reads the same

  authorizer          = { type = "AWS_IAM" }
  throttling          = { burst = 500, rate = 200 }
  deletion_protection = true
  log_retention_days  = 90

  # Alarms notify a topic; emails are the addresses that it notifies.
  monitoring = { dashboard = true, alarms = true, emails = [] }
}

output "deployment" {
  description = "What scripts and people need to know of the deployment: see terraform/stack/outputs.tf."
  value       = module.stack.deployment
}
