"""Dispatching to a GPU provider: a request is submitted there, held until the run ends, and finished here."""
