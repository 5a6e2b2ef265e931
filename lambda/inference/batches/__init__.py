"""Batches: many inputs in one submit, each an ordinary request."""
