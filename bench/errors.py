"""The errors a person is meant to read: what was expected, what was found, what to do."""


class BenchError(Exception):
    """A failure with a cause outside the code; the command line prints it without a traceback."""

    user_facing = True


def is_user_facing(error: BaseException) -> bool:
    """Whether the error is told in its own words, without a traceback.

    Asked is the class for `user_facing = True`, not for `BenchError`: `data_modules`, which does not import `bench`,
    raises its own.
    """
    return getattr(type(error), "user_facing", False) is True


class ConfigError(BenchError):
    """A configuration that cannot be composed or does not fit its target."""


class WeightsError(BenchError):
    """Weights that do not fit the detector, or cannot be read."""


class ImageError(BenchError):
    """Images that are not what a detector takes."""


class PredictionError(BenchError):
    """A file of predictions that cannot be read as what it claims to be."""
