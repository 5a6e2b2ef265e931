"""Loads and runs a model; knows nothing of queues or tables. A model author imports from here.

from worker.model import InputError, Model
"""

from worker.model.base import Model
from worker.model.errors import InputError
from worker.model.loaded import load
from worker.model.manifest import Manifest

__all__ = ["InputError", "Manifest", "Model", "load"]
