"""What takes seconds to import is imported by those who need it."""

import subprocess
import sys
from pathlib import Path

import pytest

from bench.config import compose
from bench.run.data import build_data

SMALL = ["data.train_images=16", "data.val_images=8", "data.num_workers=0"]
HEAVY = ("torch", "pytorch_lightning", "torchmetrics", "albumentations", "wandb", "scipy.interpolate")


@pytest.mark.parametrize("verb", ["status", "grid", "report", "data", "evaluate"])
def test_verbs_without_torch(verb: str) -> None:
    told = f"import sys, bench.verbs.{verb}; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_cells_are_enumerated_without_torch(drawn: Path) -> None:
    """Splits, truths and hashes of a drawn set and of cells over it."""
    build_data(compose("_cell", ["data=synth_faces", f"data.root={drawn}", *SMALL]))  # draws what is missing
    told = f"""
import sys
from bench.config import compose
from bench.run.cells import make_cell
words = ["detector=scrfd_tiny", "data=synth_faces", "data.root={drawn}", *{SMALL}]
cell = make_cell(compose("_cell", words), words)
print(cell.evaluation["data"]["images"], [name for name in {HEAVY} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "8 []"
