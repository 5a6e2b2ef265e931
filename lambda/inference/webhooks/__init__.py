"""Webhooks: what is sent when a request is final, to whom, how often, and by whom. See docs/adr/0013-webhooks.md."""
