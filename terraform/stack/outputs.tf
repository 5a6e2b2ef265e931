output "deployment" {
  description = <<-TEXT
    What scripts and people need to know of the deployment.
    api_id; api_url: base URL of the API on AWS, the variable of that name where it is set, else API Gateway's own.
    default_model: what POST /predict goes to. request_table, payload_bucket: their names.
    queue_urls: by model; the models of a pool have one queue. dead_letter_queue_url: of all. pools: the models of each.
    webhook_dead_letter_queue_url: of the webhooks that could not be delivered; null without webhooks.
    function_names: by role, which is api, dead_letters, sweeper, batches, worker/<model or pool>, sync/<model or pool>, with webhooks relay and deliverer,
      with triggers intake, results where a trigger writes some, with GPU providers callbacks, and authorizer where there are API keys.
    triggers: null without triggers; else for each its bucket, prefix, models, and results: bucket and prefix of what is written to S3, and
      the URL that CloudFront has for it. intake_queue_url, intake_dead_letter_queue_url: of their events.
    api_keys: their table, and for how many seconds a revoked one may work; null where the authorizer is another.
    worker_role_arns: by model or pool; whom the policy of a bucket or key in another account has to let in.
    protected: what destroy refuses to delete while deletion_protection is on, by name; empty when it is off.
    kept_versions_path: of the SSM parameters that name the versions that serve; null where Terraform does not read them.
    replay_limits: what a request that is replayed is given, as one that is new: attempts, and times in seconds.
    monitoring: name of the dashboard, ARN of the topic that the alarms notify, both null where they are off; names of the alarms.
  TEXT
  value = {
    api_id         = module.http_api.id
    api_url        = coalesce(var.api_url, module.http_api.url)
    default_model  = var.default_model
    request_table  = module.request_table.name
    payload_bucket = module.payload_bucket.name

    queue_urls            = { for name, worker in local.worker_of : name => module.request_queue[worker].url }
    dead_letter_queue_url = module.dead_letter_queue.url
    pools                 = { for pool in keys(var.pools) : pool => module.worker[pool].models }

    webhook_dead_letter_queue_url = one(module.webhooks[*].dead_letter_queue_url)

    triggers = length(local.triggers) == 0 ? null : { for name, trigger in local.triggers : name => {
      bucket = trigger.bucket == local.object_bucket_name ? module.object_bucket[0].name : trigger.bucket
      prefix = trigger.prefix
      models = trigger.models
      results = trigger.results == null ? null : {
        bucket = trigger.results.bucket
        prefix = trigger.results.prefix
        url    = trigger.results.cdn == null ? null : one(module.results_cdn[*].url)
      }
    } }
    intake_queue_url             = one(module.triggers[*].queue_url)
    intake_dead_letter_queue_url = one(module.triggers[*].dead_letter_queue_url)

    function_names = merge(
      {
        api          = module.api.name
        dead_letters = module.dead_letters.name
        sweeper      = module.sweeper.name
        batches      = module.batches.name
      },
      { for name, worker in module.worker : "worker/${name}" => worker.function_name },
      { for name, sync in module.sync : "sync/${name}" => sync.function.name },
      { for callbacks in module.callbacks : "callbacks" => callbacks.name },
      { for authorizer in module.authorizer : "authorizer" => authorizer.name },
      concat(module.webhooks[*].function_names, module.triggers[*].function_names)...
    )
    worker_role_arns = { for name, worker in module.worker : name => worker.role_arn }

    api_keys = !local.has_api_keys ? null : { table = module.key_table[0].name, cache_seconds = local.authorizer.cache_seconds }

    kept_versions_path = var.images_from_parameters ? local.kept_versions_path : null

    protected = { for kind, name in {
      request_table    = module.request_table.name
      payload_bucket   = module.payload_bucket.name
      object_bucket    = one(module.object_bucket[*].name)
      image_repository = module.container_registry.name
      key_table        = one(module.key_table[*].name)
    } : kind => name if var.deletion_protection && name != null }

    replay_limits = {
      max_attempts      = local.requests.max_attempts
      deadline_seconds  = local.requests.deadline_seconds
      retention_seconds = local.requests.retention_seconds
    }

    monitoring = {
      dashboard = module.monitoring.dashboard_name
      topic_arn = module.monitoring.topic_arn
      alarms    = sort(concat(module.monitoring.alarm_names, compact([module.api.canary_alarm]), compact(values({ for name, worker in module.worker : name => worker.canary_alarm }))))
    }
  }
}
