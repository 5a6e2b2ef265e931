# What a model is made of: what `models` says, else what the model's manifest says, else its default. What a worker is made of:
# the settings of its model, or those of its pool.

locals {
  packages_dir = coalesce(var.packages_dir, "${path.module}/../../build/packages")

  model_settings = { for name, model in var.models : name => merge(local.defaults.models, { source = name }, { for key, value in model : key => value if value != null }) }

  manifest_paths = {
    for name, model in local.model_settings :
    name => "${coalesce(model.models_dir, "${path.module}/../../worker/models")}/${model.source}/manifest.json"
  }
  manifests = { for name, path in local.manifest_paths : name => jsondecode(file(path)) }

  # Artifacts that are neither in the folder, from which the zip is built, nor in S3.
  artifact_paths = {
    for name, manifest in local.manifests :
    name => try("${dirname(local.manifest_paths[name])}/${manifest.artifacts[manifest.runtime].file}", null)
  }
  missing_artifacts = [
    for name, path in local.artifact_paths : "${path} of ${name}"
    if path == null ? false : local.model_settings[name].artifact == null && local.own_packages[local.worker_of[name]] == null && !contains(local.backend_names, name) && !fileexists(path)
  ]

  models = {
    for name, model in local.model_settings : name => merge(
      model,
      { for key in ["memory_mb", "timeout_seconds", "batch_size", "batch_window_seconds"] : key => coalesce(model[key], local.manifests[name][key]) },
      { for key, value in local.dispatcher : key => coalesce(key == "memory_mb" ? model.memory_mb : null, value) if contains(local.backend_names, name) },
      { package = local.packages[name] },
    ) if model.pool == null
  }

  pools = {
    for pool, settings in var.pools : pool => merge(
      local.defaults.pools,
      {
        # The largest that a manifest asks for; twice the longest time, since a model that has to be loaded may start behind others.
        memory_mb       = max([for name, worker in local.worker_of : local.manifests[name].memory_mb if worker == pool]...)
        timeout_seconds = min(900, 2 * max([for name, worker in local.worker_of : local.manifests[name].timeout_seconds if worker == pool]...))
      },
      { for key, value in settings : key => value if value != null },
      { package = local.packages[pool] },
    )
  }

  # By the worker's name, which is the model's or the pool's.
  worker_settings = merge(local.models, local.pools)

  # Which images are deployed is kept where everybody who deploys finds it, and not in one person's files: `make deploy`
  # writes a parameter for each worker.
  images_path = "/${var.name_prefix}/worker-images/"
  images = merge([
    for found in data.aws_ssm_parameters_by_path.images :
    { for index, name in found.names : trimprefix(name, local.images_path) => nonsensitive(found.values[index]) }
  ]...)

  # Where a worker has another memory than its model's manifest says.
  other_memory_mb = { for name, worker in local.worker_of : name => local.worker_settings[worker].memory_mb if local.worker_settings[worker].memory_mb != local.manifests[name].memory_mb }

  own_packages = { for worker in local.workers : worker => try(var.pools[worker].package, var.models[worker].package, null) }
  built_zips = {
    for worker in local.workers :
    worker => contains(keys(var.pools), worker) ? "pool-${worker}.zip" : "worker-${local.model_settings[worker].source}.zip"
  }

  # A dispatcher's, or the worker's own package, else its image, else the zip that was built for it.
  packages = {
    for worker, package in local.own_packages : worker => contains(local.backend_names, worker) ? { zip = merge(local.defaults.zip, local.dispatcher_package), image = null } : {
      zip = try(merge(local.defaults.zip, package.zip), package != null || contains(keys(local.images), worker) ? null : merge(
        local.defaults.zip, { path = "${local.packages_dir}/${local.built_zips[worker]}" }
      ))
      image = try(merge(package.image, {}), package != null || !contains(keys(local.images), worker) ? null : { uri = local.images[worker] })
    }
  }
}

data "aws_ssm_parameters_by_path" "images" {
  count = var.images_from_parameters ? 1 : 0

  path = local.images_path

  lifecycle {
    postcondition {
      condition     = alltrue([for uri in nonsensitive(self.values) : can(regex("@sha256:[0-9a-f]{64}$", uri))])
      error_message = "The parameters below ${local.images_path} must name images by digest (repository@sha256:<64 hex digits>): a tag can move without a deploy. `make deploy` writes them."
    }
  }
}
