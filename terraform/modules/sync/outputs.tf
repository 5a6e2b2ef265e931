output "function" {
  description = "The function, as the http_api module takes it for routes: its name, and the alias by which it is invoked."
  value = {
    name             = module.function.name
    alias_name       = module.function.alias_name
    alias_invoke_arn = module.function.alias_invoke_arn
  }
}
