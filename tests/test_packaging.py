"""The files that describe one installation agree with each other."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).resolve().parent.parent


def pyproject() -> dict:
    return tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]


def constraints() -> dict[str, str]:
    lines = (PROJECT / "constraints.txt").read_text().splitlines()
    pinned = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pinned}


def test_environment_repeats_the_dependencies_of_pyproject() -> None:
    environment = yaml.safe_load((PROJECT / "environment.yml").read_text())
    (pip,) = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    described = pyproject()
    wanted = described["dependencies"] + described["optional-dependencies"]["test"]
    assert sorted(pip) == sorted([*wanted, "--editable ."])
    (python,) = [
        entry for entry in environment["dependencies"] if isinstance(entry, str) and entry.startswith("python")
    ]
    assert python.split("=")[1] in ("3.11", "3.12")


def test_every_dependency_is_pinned_inside_its_range() -> None:
    described = pyproject()
    pins = constraints()
    requirements = described["dependencies"] + [
        text for extra in described["optional-dependencies"].values() for text in extra
    ]
    for text in requirements:
        requirement = Requirement(text)
        version = pins.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} is not pinned in constraints.txt"
        assert requirement.specifier.contains(version), (
            f"{requirement.name} {version} is outside {requirement.specifier}"
        )


@pytest.mark.parametrize("name", ["ultralytics", "albumentationsx"])
def test_nothing_under_the_agpl_is_installed(name: str) -> None:
    assert name not in constraints()


def test_configurations_are_shipped_with_the_package() -> None:
    described = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert described["package-data"]["conf"] == ["**/*.yaml"]
    assert "conf*" in described["packages"]["find"]["include"]


def test_makefile_and_ci_share_one_command() -> None:
    assert re.search(r"^make test$", (PROJECT / ".ci" / "run").read_text(), re.MULTILINE)


def test_files_beside_the_code_are_shipped_with_it() -> None:
    described = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["setuptools"]
    shipped = {path for pattern in described["package-data"]["bench"] for path in (PROJECT / "bench").glob(pattern)}
    files = {path for path in (PROJECT / "bench").rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert {path for path in files if path.suffix != ".py"} == shipped
    folders = {path.parent for path in files if path.suffix == ".py"}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").is_file()] == []
