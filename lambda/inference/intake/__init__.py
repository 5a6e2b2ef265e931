"""From an object in S3 to one request for each model of a trigger. See docs/adr/0019-triggers.md."""
