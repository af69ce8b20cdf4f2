"""Errors about data: the file, the line, what was expected there, what was found, what to do."""


class DataError(Exception):
    """Data that is missing or malformed; printed without a traceback by the command line."""

    user_facing = True
