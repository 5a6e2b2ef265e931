# The settings of each model: from `models`, else its manifest, else the defaults.

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
    if path == null ? false : local.model_settings[name].artifact == null && local.model_settings[name].package == null && !fileexists(path)
  ]

  models = {
    for name, model in local.model_settings : name => merge(
      model,
      { for key in ["memory_mb", "timeout_seconds", "batch_size", "batch_window_seconds"] : key => coalesce(model[key], local.manifests[name][key]) },
      { package = local.packages[name] },
    )
  }

  # The deployed images are stored in AWS, where every deployer finds them, and not in files on one machine: `make deploy`
  # writes a parameter for each model.
  images_path = "/${var.name_prefix}/worker-images/"
  images = merge([
    for found in data.aws_ssm_parameters_by_path.images :
    { for index, name in found.names : trimprefix(name, local.images_path) => nonsensitive(found.values[index]) }
  ]...)

  # The model's own package, else its image, else the zip that was built for it.
  packages = {
    for name, model in local.model_settings : name => {
      zip = try(merge(local.defaults.zip, model.package.zip), model.package != null || contains(keys(local.images), name) ? null : merge(
        local.defaults.zip, { path = "${local.packages_dir}/worker-${model.source}.zip" }
      ))
      image = try(merge(model.package.image, {}), model.package != null || !contains(keys(local.images), name) ? null : { uri = local.images[name] })
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
