"""Composition from shared parts gives exactly what Hydra gives from the first file on."""

import itertools
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra import initialize_config_dir
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf
from omegaconf.base import Container, Node

import bench.config
from bench.composition.interpolations import UnsureError, check_memoryless
from bench.config import CONFIG_DIR, bases, compose, compose_by_hydra, options, plain
from bench.errors import ConfigError


def words_of(name: str) -> list[str]:
    return (Path(__file__).parent / "overrides" / f"{name}.txt").read_text().splitlines()


VALUES, CHOICES, WRONG = words_of("values"), words_of("choices"), ["", *words_of("wrong")]


def assert_same(config_name: str, words: list[str]) -> None:
    """The shared composition, or its error, against Hydra's own."""
    expected = outcome(compose_by_hydra, config_name, words)
    found = outcome(compose, config_name, words)
    if isinstance(expected, DictConfig):
        assert list(nodes(found)) == list(nodes(expected))
        assert OmegaConf.to_yaml(found) == OmegaConf.to_yaml(expected)
        assert repr(outcome(plain, found)) == repr(outcome(plain, expected))  # with its order and its types
    else:
        assert repr(found) == repr(expected)


def outcome(function: Callable[..., Any], *arguments: Any) -> Any:
    """What it returns or raises."""
    try:
        return function(*arguments)
    except Exception as error:
        return error


def nodes(node: Node) -> Iterator[Any]:
    """Every node with its type and flags; what resolvers remember is the time of composition."""
    metadata = {key: value for key, value in vars(node._metadata).items() if key != "resolver_cache"}
    yield type(node), metadata
    content = node.__dict__.get("_content") if isinstance(node, Container) else None
    if isinstance(content, dict | list):
        for child in content.values() if isinstance(content, dict) else content:
            assert child._get_parent() is node
            yield from nodes(child)
    else:
        yield type(node._value()), repr(node._value())


@pytest.mark.parametrize("word", [*CHOICES, *WRONG])
def test_one_word(word: str) -> None:
    assert_same("_cell", [word, "pictures=7"])


@pytest.mark.parametrize(("one", "other"), zip(VALUES, VALUES[len(VALUES) // 2 :], strict=False))
def test_values_between_others(one: str, other: str) -> None:
    assert_same("_cell", ["detector.recipe.lr=0.25", "seed=7", other, "data.num_workers=1", one, "pictures=5"])


@settings(deadline=None, max_examples=15)
@given(
    st.sampled_from(["_cell", "_cell", "_cell", "model", "train", "nothing"]),
    st.lists(st.sampled_from(VALUES) | st.sampled_from(CHOICES) | st.sampled_from([*VALUES, *WRONG]), max_size=5),
)
def test_any_words_in_any_order(config_name: str, words: list[str]) -> None:
    assert_same(config_name, words)


def cells_of(grid: str) -> list[list[str]]:
    """The words of every cell, as a grid lists them."""
    described: Any = OmegaConf.to_container(OmegaConf.load(CONFIG_DIR / "grid" / f"{grid}.yaml"))
    axes = [choices_of(name, axis) for name, axis in described["axes"].items()]
    return [
        [*described["overrides"], *itertools.chain(*choices), "data.root=/faces", f"seed={seed}"]
        for choices in itertools.product(*axes)
        for seed in described["seeds"]
    ]


def choices_of(name: str, axis: Any) -> list[list[str]]:
    if isinstance(axis, dict):
        return [[words] if isinstance(words, str) else list(words or ()) for words in axis.values()]
    return [[f"{name}={choice}"] for choice in axis]


@pytest.mark.parametrize("grid", options("grid"))
def test_cells_of_every_grid(grid: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = cells_of(grid)
    with monkeypatch.context() as context:
        context.setattr(bench.config, "compose_by_hydra", refuse)  # none needs more than the cheap way
        found = [compose("_cell", words) for words in cells]
    for index in range(0, len(cells), 7):
        assert OmegaConf.to_yaml(found[index]) == OmegaConf.to_yaml(compose_by_hydra("_cell", cells[index]))
    assert_same("_cell", cells[-1])


def refuse(*_: object) -> None:
    raise AssertionError("this should not have been needed")


def test_seeds_and_values_share_one_composition(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["detector=tinaface", "data=synth_shapes", "postprocess=soft_nms"]
    compose("_cell", words)
    before = bases().base.cache_info().misses
    monkeypatch.setattr(bench.config, "compose_by_hydra", refuse)
    for lr, seed in itertools.product((0.1, 0.2), range(3)):
        overrides = [*words, f"detector.recipe.lr={lr}", "+seen=[${seed},'${.0}']", f"seed={seed}"]
        found = compose("_cell", overrides)
        assert (found.detector.recipe.lr, list(found.seen)) == (lr, [seed, seed])
    assert bases().base.cache_info().misses == before


def test_a_file_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    compose("_cell", ["protocol=wider_320"])
    parse, parsed = OmegaConf.load, []

    def load(file: Any) -> Any:
        parsed.append(Path(file.name).name)
        return parse(file)

    monkeypatch.setattr(OmegaConf, "load", staticmethod(load))
    compose("_cell", ["protocol=wider_320", "postprocess=soft_nms", "schedule=cpu", "trainer=gpu"])
    compose("_cell", ["protocol=wider_320", "postprocess=soft_nms", "schedule=cpu_long", "trainer=gpu"])
    assert len(parsed) == len(set(parsed)) <= 4


def test_results_are_the_callers_own() -> None:
    words = ["detector.recipe.lr=0.1", "seed=1"]
    config: Any = compose("_cell", words)
    config["detector"]["recipe"]["lr"] = 5
    config["detector"]["augmentation"]["crop_scales"].append(9)
    assert compose("_cell", words)["detector"]["recipe"]["lr"] == 0.1
    assert 9 not in compose("_cell", words)["detector"]["augmentation"]["crop_scales"]


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Configurations of the user's: a detector, a grid, another `model`, and one that is searched elsewhere too."""
    parts = "{detector: mine}, {protocol: wider_vga}, {postprocess: nms}"
    axes = "{detector: [mine, scrfd_tiny], epochs: {few: detector.recipe.epochs=2, many: detector.recipe.epochs=4}}"
    files = {
        "model": "name: another",
        "elsewhere": f"hydra: {{searchpath: ['file://{CONFIG_DIR}']}}\ndefaults: [{parts}, _self_]",
        "detector/mine": "defaults: [scrfd_tiny, _self_]\nname: mine\nrecipe: {lr: 0.125}",
        "grid/mine": f"name: mine\noverrides: [data=synth_faces]\naxes: {axes}\nseeds: [0, 1]\ncell_overrides: []",
    }
    for name, text in files.items():
        file = tmp_path / f"{name}.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text + "\n")
    return tmp_path


def test_another_search_path_is_noticed(own: Path) -> None:
    assert compose("model").detector.name == "scrfd_tiny"
    with pytest.raises(ConfigError, match="mine"):
        compose("model", ["detector=mine"])
    with initialize_config_dir(str(own), version_base="1.3"):
        assert compose("model") == {"name": "another"}
        assert compose("elsewhere").detector.name == "mine"
        assert_same("elsewhere", ["detector.recipe.lr=3"])
        assert_same("elsewhere", ["postprocess=blending"])  # a group of the other folder
    assert compose("model").detector.name == "scrfd_tiny"


def test_a_folder_of_the_users_own(bench: Callable[..., subprocess.CompletedProcess[str]], own: Path) -> None:
    def listed() -> list[tuple[str, int]]:
        finished = bench("status", "mine", "--config-dir", str(own), "format=json", "pictures=0")
        assert finished.returncode == 0, finished.stderr
        return [(cell["detector"], cell["seed"]) for cell in json.loads(finished.stdout)["cells"]]

    others = [("scrfd_tiny", 0), ("scrfd_tiny", 1)] * 2
    assert listed() == [("mine", 0), ("mine", 1)] * 2 + others
    (own / "detector" / "mine.yaml").write_text("defaults: [nothing]\n")  # which another process sees
    with pytest.raises(AssertionError, match="detector/nothing"):
        listed()


MEMORYLESS = ["plain $ {text}", "${seed}", "${a.b_c}/${d}", "${oc.select:a.b,1}", "${count:${a.b},80}", "${..a.b}"]


@pytest.mark.parametrize("text", [*MEMORYLESS, "${oc.select:a,${b}}", "${a[0]}", "${a.${b}}", "${oc.env:HOME}"])
def test_interpolations_that_mean_the_same_in_a_copy(text: str) -> None:
    check_memoryless(text)


REMEMBERING = ["${now:%Y}", "${count:${now:%Y},1}", "${oc.${a}:b}", "${${a}:b}", "${mine:1}"]
OF_HYDRA = ["${hydra:job.name}", "${hydra.job.name}", "${oc.select:hydra.job.name,1}"]
DEEP = ["${oc.create:{a: 1}}", "${oc.create:{a: ${b}}}"]  # not read that far


@pytest.mark.parametrize("text", [*REMEMBERING, *OF_HYDRA, *DEEP])
def test_interpolations_that_are_left_to_hydra(text: str) -> None:
    with pytest.raises(UnsureError):
        check_memoryless(text)
