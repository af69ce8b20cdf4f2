"""The records that the report's tests make up serve the tests of the record itself."""

from ..report.conftest import failed, make_record, results

__all__ = ["failed", "make_record", "results"]
