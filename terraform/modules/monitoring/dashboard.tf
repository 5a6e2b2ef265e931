# One dashboard: the API, then what happens to the requests, by worker. A graph has a line for each worker. CloudWatch takes 2,500
# metrics on a dashboard, and a worker has up to 19: the 101st begins another dashboard, with the graphs that are by worker.

locals {
  dashboard_workers = chunklist(sort(keys(var.workers)), 100)

  error_metrics = [for code in var.error_codes : "Failed${replace(title(replace(code, "_", " ")), " ", "")}" if code != "invalid_input"]

  # A search, since fifty models have more series of this kind than a graph may have, and hardly any has values.
  failures_by_code = {
    expression = join("", [
      "SEARCH('{${local.namespace},Environment,Model} Environment=\"${var.name}\" (",
      join(" OR ", [for name in local.error_metrics : "MetricName=\"${name}\""]),
      ")', 'Sum', 300)",
    ])
  }

  # Title -> metrics, as CloudWatch's dashboards have them: namespace, name, dimensions, how it is shown. Of each dashboard.
  shared_graphs = [for index, names in local.dashboard_workers : { for title, lines in {
    "API: calls" = [for name in ["Count", "4xx", "5xx"] : ["AWS/ApiGateway", name, "ApiId", var.api_id, { stat = "Sum" }]]
    "API: latency (ms)" = [for stat in ["p50", "p99"] :
      ["AWS/ApiGateway", "Latency", "ApiId", var.api_id, { stat = stat, label = stat }]
    ]
    "Functions: throttles" = [for name in concat(index > 0 ? [] : concat(compact(values(var.functions)), values(var.sync_functions)), [for name in names : var.workers[name].function]) :
      ["AWS/Lambda", "Throttles", "FunctionName", name, { stat = "Sum", label = name }]
    ]
    "Functions: errors" = [for name in concat(index > 0 ? [] : concat(compact(values(var.functions)), values(var.sync_functions)), [for name in names : var.workers[name].function]) :
      ["AWS/Lambda", "Errors", "FunctionName", name, { stat = "Sum", label = name }]
    ]
    "Queues: age of the oldest message (s)" = [for name in names :
      ["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", var.workers[name].queue, { stat = "Maximum", label = name }]
    ]
    "Queues: messages that wait" = [for name in names :
      ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", var.workers[name].queue, { stat = "Maximum", label = name }]
    ]
    "Dead-letter queue: messages" = [for name in compact([var.dead_letter_queue, var.webhook_dead_letter_queue, var.intake_dead_letter_queue]) :
      ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", name, { stat = "Maximum" }]
    ]
    "Workers: at work" = [for name in names :
      ["AWS/Lambda", "ConcurrentExecutions", "FunctionName", var.workers[name].function, { stat = "Maximum", label = name }]
    ]
    "Workers: duration, p99 (ms)" = [for name in names :
      ["AWS/Lambda", "Duration", "FunctionName", var.workers[name].function, { stat = "p99", label = name }]
    ]
  } : title => lines if index == 0 || !contains(["API: calls", "API: latency (ms)", "Dead-letter queue: messages"], title) }]

  # Title -> the functions' own metrics that it shows of each worker, with their statistic.
  model_graphs = {
    "Requests: succeeded"                           = { Succeeded = "Sum" }
    "Requests: failed"                              = { Failed = "Sum" }
    "Requests: expired, cancelled, invalid"         = { Expired = "Sum", Cancelled = "Sum", InvalidInput = "Sum" }
    "Requests: from submit to result, p50 (ms)"     = { EndToEnd = "p50" }
    "Requests: from submit to result, p99 (ms)"     = { EndToEnd = "p99" }
    "Requests: wait in the queue, p99 (ms)"         = { QueueWait = "p99" }
    "Workers: one pass of the model, p99 (ms)"      = { RunTime = "p99" }
    "Workers: requests in a pass"                   = { BatchSize = "Average" }
    "Workers: cold starts"                          = { ColdStart = "Sum" }
    "Workers: time to load the model, longest (ms)" = { LoadTime = "Maximum" }
  }

  webhook_graphs = var.webhook_dead_letter_queue == null ? {} : { "Webhooks: given up" = { WebhookFailed = "Sum" } }

  own_graphs = [for names in local.dashboard_workers : { for title, metrics in merge(local.model_graphs, local.webhook_graphs) : title => flatten([for name in names : [
    for metric, stat in metrics :
    { line = [local.namespace, metric, "Environment", var.name, "Model", name, { stat = stat, label = length(metrics) == 1 ? name : "${name}: ${metric}" }] }
  ]])[*].line if var.metrics }]

  graphs = [for number in range(length(local.dashboard_workers)) : concat(
    [for title, lines in local.shared_graphs[number] : { title = title, lines = lines }],
    [for title, lines in local.own_graphs[number] : { title = title, lines = lines }],
    [for search in [local.failures_by_code] : { title = "Requests: failed, by code", lines = [[search]] } if var.metrics && number == 0],
  )]

  dashboards = [for graphs in local.graphs : {
    widgets = [for index, graph in graphs : {
      type   = "metric"
      x      = index % 3 * 8
      y      = floor(index / 3) * 6
      width  = 8
      height = 6
      properties = {
        title   = graph.title
        region  = local.region
        view    = "timeSeries"
        period  = 300
        metrics = graph.lines
      }
    }]
  }]
}

resource "aws_cloudwatch_dashboard" "this" {
  count = var.dashboard ? length(local.dashboards) : 0

  dashboard_name = count.index == 0 ? var.name : "${var.name}-${count.index + 1}"
  dashboard_body = jsonencode(local.dashboards[count.index])
}
