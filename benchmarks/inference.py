"""Published detectors in PyTorch and under onnxruntime: forward, and forward with post-processing, in one run.

    python benchmarks/inference.py scrfd_2.5g_kps=scrfd_2.5g_kps.onnx scrfd_0.5g_kps=scrfd_500m_kps.onnx \\
        --images WIDER_ROOT/WIDER_val/images --output inference.json

Each file is imported into our detector and exported again. "Forward" is the network on a prepared batch of 640x640; our
exported graph takes pixels and normalises inside, all others take what is normalised already. Post-processing
(threshold 0.02, NMS 0.45) depends on the pictures: give real ones. Rows take turns, a few calls each, the first of
which is not counted (caches are another row's, and its threads may still be spinning); each gets the same images in the
same order. Ratios are of medians, to the published file under onnxruntime in the same run: on a machine that others
use, only these mean something. Raw outputs are held against eager's before anything is timed.
"""

import argparse
import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from inference_rows import SIZE, Images, Row, Rows, check

from bench.cost.allocator import keep_freed_memory
from bench.cost.devices import device_name
from bench.errors import BenchError, ConfigError
from bench.run.provenance import command, git_state, package_versions
from data_modules.errors import DataError
from data_modules.loading.collate import to_tensor
from data_modules.loading.image_folder import find_images
from data_modules.loading.images import read_image
from data_modules.loading.transforms import ResizeLongSide

TITLE = "Published detectors in PyTorch and under onnxruntime"
logger = logging.getLogger("inference")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("detectors", nargs="+", metavar="NAME=FILE.onnx", help="our detector and its published file")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--images", type=Path, help="folder of pictures; some are taken at even distances")
    source.add_argument(
        "--noise", action="store_true", help="no pictures: then post-processing has next to nothing to do"
    )
    parser.add_argument("--count", type=int, default=32, help="pictures taken")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=15, help="times that every row has its turn")
    parser.add_argument("--calls", type=int, default=4, help="timed calls in one turn")
    parser.add_argument("--plain-allocator", action="store_true", help="let the C library give freed memory back")
    parser.add_argument("--output", type=Path, help="JSON file for all of it; the table goes beside it as .md")
    parser.add_argument("--samples", action="store_true", help="keep every single time in the JSON file")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        run(arguments)
    except (BenchError, DataError) as error:
        sys.exit(f"error: {error}")


def run(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(arguments.threads)
    kept = not arguments.plain_allocator and keep_freed_memory()
    images = noise(arguments.count) if arguments.noise else pictures(arguments.images, arguments.count)
    commit, dirty = git_state()
    facts: dict[str, Any] = {
        "device": device_name("cpu"),
        "threads": arguments.threads,
        "freed_memory_kept": kept,
        "input": f"{len(images)} {'images of noise' if arguments.noise else 'pictures'}, {SIZE[0]}x{SIZE[1]}",
        "versions": {**package_versions(), "onnx": version("onnx")},
        "git_commit": commit,
        "git_dirty": dirty,
        "command": command(),
        "load_average": [os.getloadavg()],
    }
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = f"{folder}/inductor"  # or the time of compiling depends on the past
        for word in arguments.detectors:
            name, _, path = word.partition("=")
            if not path:
                raise ConfigError(f"expected NAME=FILE.onnx, found `{word}`")
            rows = Rows(name, Path(path), Path(folder)).build()
            for size in arguments.batches:
                results += timed(name, rows, images, size, arguments.rounds, arguments.calls)
    facts["load_average"].append(os.getloadavg())
    table = markdown(facts, results)
    logger.info("\n%s", table)
    if arguments.output:
        kept_results = results if arguments.samples else [without_samples(row) for row in results]
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(json.dumps({**facts, "results": kept_results}, indent=1) + "\n")
        arguments.output.with_suffix(".md").write_text(f"# {TITLE}\n\n{table}\n")


def pictures(folder: Path, count: int) -> Images:
    """At even distances among the pictures below `folder`, resized as `wider_vga` does it."""
    paths = find_images(folder)
    chosen = [paths[index * len(paths) // count] for index in range(min(count, len(paths)))]
    return [to_tensor(ResizeLongSide(SIZE[1]).pixels(read_image(path))) for path in chosen]


def noise(count: int) -> Images:
    generator = torch.Generator().manual_seed(0)
    return list(torch.randint(0, 256, (count, 3, *SIZE), dtype=torch.uint8, generator=generator))


@torch.no_grad()
def timed(name: str, rows: list[Row], images: Images, size: int, rounds: int, calls: int) -> list[dict[str, Any]]:
    """A result for each row at batches of `size`; milliseconds are those of one image."""
    batches = [
        [images[(start + i) % len(images)] for i in range(size)] for start in range(0, max(len(images), 1), size)
    ]
    logger.info("%s, batch %d: first calls, compiling", name, size)
    check(rows, batches[0])
    present = [row for row in rows if row.absent is None]
    feeds = [[row.feed(batch) for batch in batches] for row in present]
    sizes = [torch.tensor([image.shape[-2:] for image in batch]) for batch in batches]
    samples: list[dict[str, list[float]]] = [{"forward": [], "total": []} for _ in present]
    for turn in range(rounds):
        for row, fed, kept in zip(present, feeds, samples, strict=True):
            order = [(turn * calls + call) % len(batches) for call in range(calls)]
            stages: dict[str, Callable[[int], Any]] = {
                "forward": lambda at, row=row, fed=fed: row.forward(fed[at]),
                "total": lambda at, row=row, fed=fed: row.whole(fed[at], sizes[at]),
            }
            for stage, call in stages.items():
                call(order[0])
                kept[stage] += [1e3 * seconds(call, at) / size for at in order]
        logger.info("%s, batch %d: round %d of %d", name, size, turn + 1, rounds)
    found = dict(zip([row.name for row in present], samples, strict=True))
    base = {stage: float(np.median(values)) for stage, values in samples[0].items()}
    return [result(name, row, size, found.get(row.name), base) for row in rows]


def seconds(call: Callable[[int], Any], at: int) -> float:
    begin = time.perf_counter()
    call(at)
    return time.perf_counter() - begin


def result(
    name: str, row: Row, size: int, samples: dict[str, list[float]] | None, base: dict[str, float]
) -> dict[str, Any]:
    known: dict[str, Any] = {"detector": name, "batch": size, "row": row.name, "absent": row.absent}
    if samples is None:
        return known
    known |= {"difference_from_eager": row.difference, "first_call_s": row.setup_s}
    for stage, values in samples.items():
        p10, p50, p90 = (float(value) for value in np.percentile(values, [10, 50, 90]))
        known |= {f"{stage}_ms_p10": p10, f"{stage}_ms_p50": p50, f"{stage}_ms_p90": p90}
        known |= {f"{stage}_ratio": p50 / base[stage], f"{stage}_ms": values}
    return known


def without_samples(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if not isinstance(value, list)}


def markdown(facts: dict[str, Any], results: list[dict[str, Any]]) -> str:
    versions = facts["versions"]
    lines = [
        f"{facts['device']}, {facts['threads']} threads, torch {versions['torch']}, onnxruntime "
        f"{versions['onnxruntime']}, commit {facts['git_commit']}{' (changed)' if facts['git_dirty'] else ''}; "
        f"{facts['input']}; freed memory {'kept' if facts['freed_memory_kept'] else 'given back'}; load average "
        f"{facts['load_average'][0][0]:.1f} before, {facts['load_average'][1][0]:.1f} after. Milliseconds an image: "
        "median (p10 to p90).",
        "",
        "| detector | batch | row | forward | ratio | with post-processing | ratio | first call |",
        "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in results:
        start = f"| {row['detector']} | {row['batch']} | {row['row']} |"
        if row["absent"] is not None:
            lines.append(f"{start} {row['absent']} | | | | |")
            continue
        cells = [
            cell for stage in ("forward", "total") for cell in (spread(row, stage), f"{row[f'{stage}_ratio']:.2f}")
        ]
        lines.append(f"{start} {' | '.join(cells)} | {row['first_call_s']:.1f} s |")
    return "\n".join(lines)


def spread(row: dict[str, Any], stage: str) -> str:
    p10, p50, p90 = (row[f"{stage}_ms_{rank}"] for rank in ("p10", "p50", "p90"))
    return f"{p50:.1f} ({p10:.1f} to {p90:.1f})"


if __name__ == "__main__":
    main()
