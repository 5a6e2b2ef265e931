"""Synchronous predictions: one app, behind Lambda (`handler`) or as a server of its own (`server`)."""
