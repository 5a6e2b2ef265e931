terraform {
  required_version = ">= 1.10"

  required_providers {
    # Pinned exactly, and therefore without a lock file: that would hold the hashes of one platform only where the
    # provider comes from a filesystem mirror.
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }
  }
}
