mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name = "inference-test-worker"
}

run "repository" {
  assert {
    condition     = aws_ecr_repository.this.image_tag_mutability == "IMMUTABLE"
    error_message = "a tag must not move"
  }

  assert {
    condition     = one(aws_ecr_repository.this.image_scanning_configuration).scan_on_push
    error_message = "images must be scanned when they are pushed"
  }

  assert {
    condition     = !aws_ecr_repository.this.force_delete
    error_message = "a repository with images is not deleted unless it is said"
  }

  assert {
    condition     = [for rule in jsondecode(aws_ecr_lifecycle_policy.this.policy).rules : [rule.rulePriority, rule.selection.tagStatus, rule.selection.countNumber]] == [[1, "untagged", 14], [2, "any", 30]]
    error_message = "untagged images expire after 14 days, and 30 images are kept; the rule for any tag must come last"
  }
}
