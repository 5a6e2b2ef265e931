"""Terraform, and all that `make plan`, `apply`, `deploy` and `destroy` do around it."""
