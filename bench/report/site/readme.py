"""A table kept up to date inside a README, between two marks."""

from pathlib import Path

from bench.errors import BenchError
from bench.records.record import write_text_atomically

BEGIN = "<!-- leaderboard:begin -->"
END = "<!-- leaderboard:end -->"


class ReadmeError(BenchError):
    """A README without one pair of marks."""


def write_between_marks(path: Path, text: str) -> Path:
    """Replace what lies between the marks by `text`; everything else stays byte for byte. Raises ReadmeError."""
    try:
        content = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise ReadmeError(f"{path}: cannot be read: {error.strerror}") from error
    counts = content.count(BEGIN), content.count(END)
    if counts != (1, 1) or content.index(BEGIN) > content.index(END):
        raise ReadmeError(
            f"{path}: expected one line {BEGIN} and after it one line {END}, found {counts[0]} and {counts[1]}; "
            "put them where the table belongs"
        )
    before, rest = content.split(BEGIN)
    _, after = rest.split(END)
    return write_text_atomically(path, f"{before}{BEGIN}\n\n{text.strip()}\n\n{END}{after}")
