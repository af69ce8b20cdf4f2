"""Processor time of enumerating 1,000 cells of a grid, identities and all, beside Hydra's own composition.

    python benchmarks/enumerate_cells.py WIDER_ROOT

Two grids: one of many axes (10 detectors, 2 crop sets, 5 learning rates, 10 seeds), and one of a single number (100
learning rates, 10 seeds). Hydra's own is timed on some of the configurations and gives what composition alone would
take without sharing; these configurations are held against ours.
"""

import argparse
import logging
import time
from pathlib import Path
from typing import Any

import pytorch_lightning  # noqa: F401  (that and torch are not part of what is timed)
from omegaconf import OmegaConf

from bench.config import compose, compose_by_hydra, plain
from bench.grid.enumerate import enumerate_cells

DETECTORS = ["blazeface", "mobilenet_0.5g", "resnet_10g", "resnet_2.5g", "resnet_34g"]
DETECTORS += ["scrfd_0.5g", "scrfd_10g", "scrfd_2.5g", "scrfd_34g", "tinaface"]
CROPS = {"off": "ablation=sample_redistribution_off", "on": "ablation=sample_redistribution_on"}
logger = logging.getLogger("enumerate_cells")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="WIDER FACE in its official layout")
    parser.add_argument("--by-hydra", type=int, default=20, help="configurations that Hydra composes too")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("data_modules").setLevel(logging.WARNING)
    words = ["data=wider_face", f"data.root={arguments.root}", "schedule=full_common"]
    many = {"detector": DETECTORS, "crops": CROPS, "lr": rates(5)}
    one = {"detector": ["scrfd_2.5g"], "lr": rates(100)}
    for name, axes in (("many axes", many), ("one number", one)):
        begin = time.process_time()
        grid = {"name": name, "overrides": words, "axes": axes, "seeds": list(range(10)), "cell_overrides": []}
        cells = enumerate_cells(OmegaConf.create(grid))
        seconds = time.process_time() - begin
        logger.info("%-10s %d cells: %.2f s, %.1f ms a cell", name, len(cells), seconds, 1e3 * seconds / len(cells))
    compare(words, arguments.by_hydra)


def rates(count: int) -> dict[str, str]:
    return {str(number): f"detector.recipe.lr={number / 1000}" for number in range(1, count + 1)}


def compare(words: list[str], count: int) -> None:
    """Composition alone: ours from what is shared, Hydra's from the first file on."""
    chosen = [[*words, f"detector={DETECTORS[k % 10]}", f"detector.recipe.lr={k + 1}"] for k in range(count)]
    ours, found = timed(compose, chosen)
    hydras, expected = timed(compose_by_hydra, chosen)
    if [plain(config) for config in found] != [plain(config) for config in expected]:
        raise AssertionError("Hydra gives other configurations")
    each, hydras_each = 1e3 * ours / count, 1e3 * hydras / count
    logger.info("composition: %.1f ms, by Hydra %.1f ms, x %.0f", each, hydras_each, hydras_each / each)


def timed(function: Any, lists: list[list[str]]) -> tuple[float, list[Any]]:
    """Seconds of processor time, and the configurations."""
    begin = time.process_time()
    configs = [function("_cell", words) for words in lists]
    return time.process_time() - begin, configs


if __name__ == "__main__":
    main()
