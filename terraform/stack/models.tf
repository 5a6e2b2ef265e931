# What a model is made of: what `models` says, else what the model's manifest says, else the worker module's default.

locals {
  models_dir   = coalesce(var.models_dir, "${path.module}/../../worker/models")
  packages_dir = coalesce(var.packages_dir, "${path.module}/../../build/packages")

  sources = { for name, model in var.models : name => coalesce(model.source, name) }

  manifest_paths = {
    for name, model in var.models :
    name => "${coalesce(model.models_dir, local.models_dir)}/${local.sources[name]}/manifest.json"
  }
  manifests = { for name, path in local.manifest_paths : name => jsondecode(file(path)) }

  # Artifacts that neither the folder, which the zip was made from, nor S3 has.
  artifact_paths = {
    for name, manifest in local.manifests :
    name => try("${dirname(local.manifest_paths[name])}/${manifest.artifacts[manifest.runtime].file}", null)
  }
  missing_artifacts = [
    for name, path in local.artifact_paths : "${path} of ${name}"
    if path == null ? false : var.models[name].artifact == null && var.models[name].package == null && !fileexists(path)
  ]

  models = {
    for name, model in var.models : name => {
      source    = local.sources[name]
      artifact  = model.artifact
      memory_mb = coalesce(model.memory_mb, try(local.manifests[name].memory_mb, null), 1769)

      timeout_seconds      = coalesce(model.timeout_seconds, try(local.manifests[name].timeout_seconds, null), 60)
      batch_size           = coalesce(model.batch_size, try(local.manifests[name].batch_size, null), 10)
      batch_window_seconds = coalesce(model.batch_window_seconds, try(local.manifests[name].batch_window_seconds, null), 0)

      maximum_concurrency     = model.maximum_concurrency
      provisioned_concurrency = model.provisioned_concurrency
      reserved_concurrency    = model.reserved_concurrency
      ephemeral_storage_mb    = model.ephemeral_storage_mb
      read_buckets            = model.read_buckets
      read_kms_key_arns       = model.read_kms_key_arns
      environment             = model.environment
      package                 = local.packages[name]
    }
  }

  # Which images are deployed is kept where everybody who deploys finds it, and not in one person's files: `make deploy`
  # writes a parameter for each model.
  images_path = "/${var.name_prefix}/worker-images/"
  deployed_images = merge([
    for found in data.aws_ssm_parameters_by_path.images :
    { for index, name in found.names : trimprefix(name, local.images_path) => nonsensitive(found.values[index]) }
  ]...)

  # The model's own package, else its image, else the zip that was built for it.
  images = {
    for name, uri in coalesce(var.worker_images, local.deployed_images) : name => { uri = uri, command = null }
  }
  packages = {
    for name, model in var.models : name => {
      zip = model.package != null ? model.package.zip : contains(keys(local.images), name) ? null : {
        path    = "${local.packages_dir}/worker-${local.sources[name]}.zip"
        handler = "worker.handler.handler"
        runtime = "python3.13"
      }
      image = model.package != null ? model.package.image : lookup(local.images, name, null)
    }
  }
}

data "aws_ssm_parameters_by_path" "images" {
  count = var.images_from_parameters && var.worker_images == null ? 1 : 0

  path = local.images_path

  lifecycle {
    postcondition {
      condition     = alltrue([for uri in nonsensitive(self.values) : can(regex("@sha256:[0-9a-f]{64}$", uri))])
      error_message = "The parameters below ${local.images_path} must name images by digest (repository@sha256:<64 hex digits>): a tag can move without a deploy. `make deploy` writes them."
    }
  }
}
