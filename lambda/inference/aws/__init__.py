"""Calls to AWS: clients, the wire below them, and the time that they may take."""
