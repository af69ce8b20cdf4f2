"""What every file that the report reads is checked with: strict parts, shared types, and errors that name the field."""

import json
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from bench.records.names import PATTERN


class Part(BaseModel):
    """A piece of a file: no unknown field, never changed, finite numbers only."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _as_json(value: object) -> object:
    """The value as JSON would give it back (tuples become lists): a record equals what is read from its file."""
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f"only finite JSON values can be kept in a record: {error}") from error


def _precisions_are_fractions(metrics: dict[str, float]) -> dict[str, float]:
    for key, value in metrics.items():
        if key.startswith("val/AP") and not 0 <= value <= 1:
            raise ValueError(
                f"{key} = {value}: an average precision is a fraction between 0 and 1, not a percentage; "
                "leave out one that is undefined (no ground truth of that size)"
            )
    return metrics


Name = Annotated[str, Field(pattern=PATTERN)]
Text = Annotated[str, Field(min_length=1)]
Positive = Annotated[int, Field(ge=1)]
NonNegative = Annotated[int, Field(ge=0)]
Size = tuple[Positive, Positive]  # (H, W)
Json = Annotated[dict[str, Any], BeforeValidator(_as_json)]
Metrics = Annotated[dict[str, float], AfterValidator(_precisions_are_fractions)]


def problems_of(error: ValidationError) -> str:
    """Every field that is wrong, and how, in one line."""
    problems = []
    for problem in error.errors(include_url=False):
        field = ".".join(str(part) for part in problem["loc"]) or "the file"
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            message = "unknown field (a file of another version, or a misspelt name)"
        problems.append(f"{field}: {message}")
    return "; ".join(problems)
