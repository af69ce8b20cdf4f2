"""Which errors are told without a traceback."""

import pytest

from bench.errors import BenchError, ConfigError, is_user_facing
from data_modules.errors import DataError


class OddError(Exception):
    """Carries the mark on its instance alone, as an error of another library might carry anything."""

    def __init__(self) -> None:
        super().__init__()
        self.user_facing = True


@pytest.mark.parametrize(
    ("error", "expected"),
    [(BenchError(), True), (ConfigError(), True), (DataError(), True), (ValueError(), False), (OddError(), False)],
)
def test_the_class_says_who_reads_an_error(error: Exception, expected: bool) -> None:
    assert is_user_facing(error) is expected
