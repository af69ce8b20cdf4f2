"""Times `bench evaluate`, from the command to the record, against a plain script over the same images in the same run.

    python benchmarks/evaluate.py FILE.onnx WIDER_ROOT [--detector scrfd_2.5g_kps] [--rounds 3] [--threads 2]

The plain script (`plain_evaluation.py`) reads, resizes, runs the published file under onnxruntime, suppresses and
writes text files; `bench evaluate` does all that with our network under imported weights, evaluates and writes the
record. Both start as processes of their own, by turns. What the plain script wrote is evaluated afterwards: the two AP
must agree.
"""

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

logger = logging.getLogger("evaluate")
HERE = Path(__file__).resolve().parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("onnx", type=Path, help="the published file")
    parser.add_argument("root", type=Path, help="WIDER FACE in its official layout")
    parser.add_argument("--detector", default="scrfd_2.5g_kps", help="ours that the file's weights belong to")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each, of which the median is given")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--more", nargs="*", default=[], help="further words for bench evaluate")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with tempfile.TemporaryDirectory() as folder:
        compare(arguments, Path(folder))


def compare(arguments: argparse.Namespace, folder: Path) -> None:
    weights, text = folder / "w.safetensors", folder / "text"
    data = ["data=wider_face", f"data.root={arguments.root}", f"paths.runs={folder / 'runs'}"]
    data += [f"paths.results={folder / 'results'}", "format=json"]
    bench = [sys.executable, "-m", "bench"]
    imported = [*bench, "weights", "import", f"detector={arguments.detector}", f"source={arguments.onnx}"]
    timed([*imported, f"output={weights}"], arguments.threads)
    ours = [*bench, "evaluate", f"detector={arguments.detector}", f"weights={weights}", *data, *arguments.more]
    plain = [sys.executable, str(HERE / "plain_evaluation.py"), str(arguments.onnx), str(arguments.root), str(text)]
    plain += ["--threads", str(arguments.threads)]
    seconds: dict[str, list[float]] = {"plain": [], "bench": []}
    output = ""
    for number in range(arguments.rounds):
        seconds["plain"].append(timed(plain, arguments.threads)[0])
        took, output = timed(ours, arguments.threads)
        seconds["bench"].append(took)
        ratio = seconds["bench"][-1] / seconds["plain"][-1]
        logger.info(
            "round %d: plain %.1f s, bench evaluate %.1f s, ratio %.2f",
            number + 1,
            seconds["plain"][-1],
            seconds["bench"][-1],
            ratio,
        )
    ratios = [own / other for own, other in zip(seconds["bench"], seconds["plain"], strict=True)]
    logger.info("median ratio %.2f (%.2f to %.2f)", median(ratios), min(ratios), max(ratios))
    logger.info("bench evaluate %s", ap_of(output))
    _, told = timed([*bench, "evaluate", f"predictions={text}", *data], arguments.threads)
    logger.info("plain script   %s", ap_of(told))


def timed(words: Sequence[str], threads: int) -> tuple[float, str]:
    """Wall-clock seconds of a process, and what it wrote to standard output."""
    begin = time.perf_counter()
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return time.perf_counter() - begin, done.stdout


def ap_of(output: str) -> str:
    metrics = json.loads(output)[0]["metrics"]
    return ", ".join(f"{key.removeprefix('val/')} {100 * value:.2f}" for key, value in sorted(metrics.items()))


if __name__ == "__main__":
    main()
