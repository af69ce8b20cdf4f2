"""What a record says about where it comes from, and what it keeps to itself."""

import sys

import pytest

from bench.run import provenance


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("data.root=/home/someone/wider", "data.root=.../wider"),
        ("data.root=../someone/wider", "data.root=.../wider"),
        ("data.root=~/wider", "data.root=.../wider"),
        ("/home/someone/photo.jpg", ".../photo.jpg"),
        ("+folders=[/home/a/b,/home/c]", "+folders=[.../b,.../c]"),
        ("+x={a:/home/a/b}", "+x={a:.../b}"),
        ("data.root=data/wider", "data.root=data/wider"),
        ("~data.root", "~data.root"),  # Hydra's deletion
        ("detector.recipe.lr=0.5", "detector.recipe.lr=0.5"),
        ("override=a/b=c/d", "override=a/b=c/d"),
    ],
)
def test_folders_of_a_person_are_left_out(word: str, expected: str) -> None:
    assert provenance.anonymous(word) == expected


@pytest.mark.parametrize("program", ["/opt/venv/bin/bench", "/home/someone/bench/__main__.py"])
def test_command(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [program, "train", "data.root=/home/me/x", "labels={a: b}"])
    assert provenance.command() == "bench train data.root=.../x 'labels={a: b}'"


def test_versions() -> None:
    found = provenance.package_versions()
    assert {"python", "torch", "numpy"} <= set(found)


def test_git_state_is_all_or_nothing() -> None:
    commit, dirty = provenance.git_state()
    assert (commit is None) == (dirty is None)
    assert commit is None or len(commit) == 40
