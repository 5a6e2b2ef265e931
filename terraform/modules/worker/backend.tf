# A dispatcher: the worker of a model that runs at a GPU provider. It has no runtime; it submits requests there, and asks what
# became of them.

locals {
  backends = var.backend == null ? [] : [var.backend]

  backend_environment = merge([for backend in local.backends : merge(
    { BACKENDS = jsonencode({ for name in keys(var.models) : name => { for key, value in backend.settings : key => value if value != null } }) },
    backend.settings.callbacks ? { API_URL = backend.api_url } : {},
  )]...)

  token_service = try(split(":", var.backend.settings.token_secret_arn)[2], "secretsmanager")
}

data "aws_iam_policy_document" "token" {
  count = length(local.backends)

  statement {
    actions   = [local.token_service == "ssm" ? "ssm:GetParameter" : "secretsmanager:GetSecretValue"]
    resources = [var.backend.settings.token_secret_arn]
  }

  dynamic "statement" {
    for_each = compact([var.backend.token_kms_key_arn])

    content {
      actions   = ["kms:Decrypt"]
      resources = [statement.value]

      condition {
        test     = "StringEquals"
        variable = "kms:ViaService"
        values   = ["${local.token_service}.${split(":", var.backend.settings.token_secret_arn)[3]}.${data.aws_partition.current.dns_suffix}"]
      }
    }
  }
}
