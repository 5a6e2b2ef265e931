# The same file in every environment; terraform.tfvars is what differs.

provider "aws" {
  region = var.region

  default_tags {
    tags = {
      Project     = var.project
      Environment = var.environment
      ManagedBy   = "terraform"
    }
  }
}

module "stack" {
  source = "../../stack"

  name_prefix = "${var.project}-${var.environment}"

  models                 = var.models
  default_model          = var.default_model
  worker_images          = var.worker_images
  images_from_parameters = var.images_from_parameters
  packages_dir           = var.packages_dir
  architecture           = var.architecture
  requests               = var.requests
  api                    = var.api
  dead_letters           = var.dead_letters
  sweeper                = var.sweeper
  authorizer             = var.authorizer
  api_url                = var.api_url
  throttling             = var.throttling
  cors                   = var.cors
  tls_only               = var.tls_only
  deletion_protection    = var.deletion_protection
  log_level              = var.log_level
  log_retention_days     = var.log_retention_days
}
