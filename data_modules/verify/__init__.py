"""Is a dataset whole, and is it what it was?"""

from data_modules.verify.report import verify

__all__ = ["verify"]
