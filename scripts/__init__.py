"""Commands, a folder for each purpose: model_tools, packaging, deployment, local, operate, bench."""
