"""Fetching and unpacking a dataset."""

from data_modules.prepare.archives import prepare

__all__ = ["prepare"]
