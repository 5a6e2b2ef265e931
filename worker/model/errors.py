"""Errors of a model.

ModelError             the model, not the input, is at fault
├── ManifestError      manifest.json is missing, not JSON, or a field is wrong
├── ArtifactError      the artifact is missing, changed, or not in the declared place
├── NotLoadedError     it could not be loaded, for any reason; no input can be predicted
└── OutputError        predict() returned something that cannot be a result
InputError             this input can never be predicted; its text goes to the client
"""


class ModelError(Exception):
    """The model can't be loaded, or returned something invalid."""


class ManifestError(ModelError):
    """manifest.json is missing or wrong; the message names the file and the field."""


class ArtifactError(ModelError):
    """The artifact is missing, or is not the declared one."""


class NotLoadedError(ModelError):
    """The model did not load; the message says why."""


class OutputError(ModelError):
    """`predict` returned the wrong number of outputs, or one that is not a JSON object."""


class InputError(Exception):
    """This input can never be predicted, however often it is tried. The message is shown to the client."""
