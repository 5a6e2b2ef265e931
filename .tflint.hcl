# https://github.com/terraform-linters/tflint: the rules that come with it; the AWS plugin would have to be downloaded.
config {
  call_module_type = "local"
}

plugin "terraform" {
  enabled = true
  preset  = "all"
}
