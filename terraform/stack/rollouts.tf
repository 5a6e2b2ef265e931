# How the new versions of the api function and the workers take over, and which are kept. The decisions are stored in AWS, so that
# everybody's plan agrees: `make promote` and `make rollback` write them, and an apply before a new canary.

locals {
  canaries = merge({ api = local.api.canary }, { for worker, settings in local.worker_settings : "worker-${worker}" => settings.canary }, { for worker in keys(local.sync) : "sync-${worker}" => null })

  # Who has one, from the settings alone: read where nothing that depends on images_from_parameters may be.
  with_canary = concat(
    try(local.api.canary > 0, false) ? ["api"] : [],
    [for name, model in local.model_settings : "models.${name}" if try(model.canary > 0, false)],
    [for name, pool in var.pools : "pools.${name}" if try(pool.canary > 0, false)],
  )

  kept_versions_path = "/${var.name_prefix}/kept-versions/"
  kept_versions = merge([
    for found in data.aws_ssm_parameters_by_path.kept_versions :
    { for index, name in found.names : trimprefix(name, local.kept_versions_path) => jsondecode(nonsensitive(found.values[index])) }
  ]...)

  rollouts = { for function, share in local.canaries : function => {
    canary        = share
    kept          = lookup(local.kept_versions, function, null)
    alarm_actions = local.monitoring.alarms ? [module.monitoring.topic_arn] : []
  } }
}

data "aws_ssm_parameters_by_path" "kept_versions" {
  count = var.images_from_parameters ? 1 : 0

  path = local.kept_versions_path
}
