"""Exceptions of the domain: each carries one sentence that says what is wrong and what to do."""


class PlacidError(Exception):
    """Base of every error this project raises on purpose."""


class ParameterError(PlacidError):
    """A parameter or argument is unknown, of the wrong type or outside what is accepted."""


class ShapeError(PlacidError):
    """A tensor or image has another shape than the function needs."""


class ModelError(PlacidError):
    """A model directory or weight file is missing, incomplete or of another architecture."""


class AssetError(PlacidError):
    """A mesh, texture or object library cannot be used."""


class DataError(PlacidError):
    """A data set, manifest or artifact on disk is missing, half-written or inconsistent."""


class PromptError(PlacidError):
    """A prompt is empty, too long or in a script that the text encoder cannot read."""


class TrackingError(PlacidError):
    """The MLflow tracking store cannot be reached or used."""


class ResourceError(PlacidError):
    """The machine lacks what the run needs: disk space, a device, write permission."""


class NumericError(PlacidError):
    """A computation or a file gave values that are not finite, empty or out of range."""


class GuidanceError(PlacidError):
    """Score distillation keeps getting guidance that is zero or not finite."""


class EndpointError(PlacidError):
    """A service over the network is down, refuses its key or answers with something else than it should."""
