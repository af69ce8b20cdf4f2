"""The errors a person is meant to read: what was expected, what was found, what to do."""


class BenchError(Exception):
    """A failure with a cause outside the code; the command line prints it without a traceback.

    The command line recognises any exception whose class carries `user_facing = True`, so that `data_modules`,
    which does not import `bench`, can raise its own.
    """

    user_facing = True


class ConfigError(BenchError):
    """A configuration that cannot be composed or does not fit its target."""


class WeightsError(BenchError):
    """Weights that do not fit the detector, or cannot be read."""


class ImageError(BenchError):
    """Images that are not what a detector takes."""


class PredictionError(BenchError):
    """A file of predictions that cannot be read as what it claims to be."""
