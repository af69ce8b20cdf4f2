"""Rooms of `bench/`: who may import whom (docs/decisions.md, "In which order do the rooms stand?")."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
# From the top down: a room imports itself and rooms of lower floors, never one beside or above it.
FLOORS = (
    ("__main__", "verbs"),
    ("grid", "search", "data_stats"),
    ("report",),
    ("run",),
    ("evaluation",),
    ("__init__",),  # the Python API: detectors by name
    ("detectors",),
    ("backbones", "necks", "heads", "losses"),
    ("layers", "boxes", "metrics", "weights", "cost"),
    ("predictions", "records"),
    ("config", "overrides"),
    ("composition",),
    ("errors", "signals"),
)
FLOOR = {room: place for place, rooms in enumerate(FLOORS) for room in rooms}
FROM_RECORDS_ALONE = {"report", "records", "predictions", "errors"}
DATA = {"metrics": "data_modules.labels"}  # the only door between the packages: one exact parser per label format


REPORT = ("publish", "site", "figures", "tables", "compare", "columns")  # inside the report, from the top down


def modules() -> list[Path]:
    return sorted((PROJECT / "bench").rglob("*.py"))


def room_of(path: Path) -> str:
    """The first part below `bench`, a folder or a file."""
    return path.relative_to(PROJECT / "bench").parts[0].removesuffix(".py")


def imports(source: str) -> Iterator[str]:
    """Dotted names of every import, inside functions too; those of `from a import b` as `a.b`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"expected an absolute import, found one of {node.module}"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_allowed(room: str, name: str) -> bool:
    """Whether a module of `room` may import the dotted name."""
    package, *parts = name.split(".")
    if package == "data_modules":
        return room in DATA and f"{name}.".startswith(f"{DATA[room]}.")
    if package != "bench":
        return True
    other = parts[0] if parts and parts[0] in FLOOR else "__init__"
    return other == room or FLOOR[other] > FLOOR[room]


def test_every_room_has_a_floor() -> None:
    assert {room_of(path) for path in modules()} <= FLOOR.keys()


def test_no_module_imports_upward_or_sideways() -> None:
    wrong = [
        f"{path.relative_to(PROJECT)} imports {name}"
        for path in modules()
        for name in imports(path.read_text())
        if not is_allowed(room_of(path), name)
    ]
    assert wrong == []


def test_reports_are_made_from_records_alone() -> None:
    paths = sorted((PROJECT / "bench" / "report").rglob("*.py"))
    found = {name.split(".")[1] for path in paths for name in imports(path.read_text()) if name.startswith("bench.")}
    assert found <= FROM_RECORDS_ALONE


def test_rooms_of_the_report_stand_in_order() -> None:
    wrong = []
    for path in sorted((PROJECT / "bench" / "report").rglob("[!_]*.py")):
        room = path.relative_to(PROJECT / "bench" / "report").parts[0].removesuffix(".py")
        below = REPORT[REPORT.index(room) :]
        names = [name for name in imports(path.read_text()) if name.startswith("bench.report.")]
        wrong += [f"{path.name} imports {name}" for name in names if name.split(".")[2] not in below]
    assert wrong == []


LABELS = ("data_modules.errors", "data_modules.labels", "numpy", *sorted(sys.stdlib_module_names))


def test_labels_stand_on_numpy_alone() -> None:
    """And `wider_mat` on SciPy's reader of MATLAB files: what evaluators import must cost nothing."""
    wrong = []
    for path in sorted((PROJECT / "data_modules" / "labels").glob("*.py")):
        allowed = (*LABELS, "scipy.io") if path.stem == "wider_mat" else LABELS
        names = imports(path.read_text())
        wrong += [
            f"{path.name} imports {name}"
            for name in names
            if not f"{name}.".startswith(tuple(f"{n}." for n in allowed))
        ]
    assert wrong == []


@pytest.mark.parametrize(
    ("room", "name", "allowed"),
    [
        ("run", "bench.evaluation.evaluation.Evaluation", True),
        ("evaluation", "bench.run.train.run_cells", False),
        ("heads", "bench.necks.fpn.FPN", False),
        ("heads", "bench.heads.outputs.HeadOutputs", True),
        ("run", "bench.create_detector", True),
        ("boxes", "bench.create_detector", False),
        ("metrics", "data_modules.labels.wider", True),
        ("metrics", "data_modules.labels_of_others", False),
        ("run", "data_modules.labels.wider", False),
        ("verbs", "data_modules", False),
        ("boxes", "torch", True),
    ],
)
def test_what_is_allowed(room: str, name: str, allowed: bool) -> None:
    assert is_allowed(room, name) is allowed


def test_imports_inside_functions_are_found() -> None:
    source = "import a.b\ndef f():\n    from bench.run import train\n    import bench.grid as g\n"
    assert sorted(imports(source)) == ["a.b", "bench.grid", "bench.run.train"]
