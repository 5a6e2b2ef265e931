mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name          = "inference-test-worker"
  function_arns = ["arn:aws:lambda:eu-west-1:123456789012:function:inference-test-worker-*"]
  force_delete  = false
  kms_key_arn   = null
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
    condition     = [for rule in jsondecode(aws_ecr_lifecycle_policy.this.policy).rules : [rule.selection.tagStatus, rule.selection.countNumber]] == [["untagged", 14]]
    error_message = "untagged images expire after 14 days, and nothing else: a function may use any image with a tag"
  }

  assert {
    condition     = one(data.aws_iam_policy_document.pull.statement[0].condition).values == tolist(var.function_arns)
    error_message = "Lambda must be allowed to pull for the given functions, and for no other"
  }
}

run "with_a_key" {
  variables {
    kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/1"
  }

  assert {
    condition     = one(aws_ecr_repository.this.encryption_configuration).encryption_type == "KMS" && one(aws_ecr_repository.this.encryption_configuration).kms_key == var.kms_key_arn
    error_message = "the key must encrypt the images"
  }
}
