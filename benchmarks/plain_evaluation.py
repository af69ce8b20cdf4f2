"""The plain script that `evaluate.py` times `bench evaluate` against: OpenCV, onnxruntime, one NMS, text files out.

    python benchmarks/plain_evaluation.py FILE.onnx WIDER_ROOT OUTPUT [--threads 2]

Takes the published SCRFD-KPS files of a fixed 640x640 input: per level a score map, distances and landmarks.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

SIDE, STRIDES, PER_CELL = 640, (8, 16, 32), 2
SCORE, IOU = 0.02, 0.45


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("onnx", type=Path)
    parser.add_argument("root", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = arguments.threads
    cv2.setNumThreads(arguments.threads)
    session = onnxruntime.InferenceSession(str(arguments.onnx), options, providers=["CPUExecutionProvider"])
    for name in listed(arguments.root / "wider_face_split" / "wider_face_val_bbx_gt.txt"):
        image = cv2.imread(str(arguments.root / "WIDER_val" / "images" / name))
        write(arguments.output / f"{name.removesuffix('.jpg')}.txt", *detect(session, image))


def listed(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if line.endswith(".jpg")]


def detect(session: onnxruntime.InferenceSession, image: NDArray[np.uint8]) -> tuple[NDArray, NDArray]:
    """BGR image -> boxes x y w h [n, 4] in its pixels and scores [n], best first."""
    height, width = image.shape[:2]
    scale = SIDE / max(height, width)
    small = cv2.resize(image, (int(width * scale + 0.5), int(height * scale + 0.5)))
    canvas = np.full((SIDE, SIDE, 3), 127.5, np.float32)
    canvas[: small.shape[0], : small.shape[1]] = small[..., ::-1]
    batch = ((canvas - 127.5) / 128).transpose(2, 0, 1)[None]
    outputs = session.run(None, {session.get_inputs()[0].name: np.ascontiguousarray(batch)})
    boxes, scores = [], []
    for level, stride in enumerate(STRIDES):
        score = outputs[level].reshape(-1)
        rows = np.flatnonzero(score > SCORE)
        cells = SIDE // stride
        y, x = np.divmod(rows // PER_CELL, cells)
        distance = outputs[level + len(STRIDES)].reshape(-1, 4)[rows] * stride
        corners = [x * stride - distance[:, 0], y * stride - distance[:, 1]]
        corners += [x * stride + distance[:, 2], y * stride + distance[:, 3]]
        boxes.append(np.stack(corners, axis=1) / scale)
        scores.append(score[rows])
    found, confidence = np.concatenate(boxes), np.concatenate(scores)
    found = found.clip(0, [width, height, width, height])
    found[:, 2:] -= found[:, :2]
    kept = np.array(cv2.dnn.NMSBoxes(found.tolist(), confidence.tolist(), SCORE, IOU), int).reshape(-1)
    return found[kept], confidence[kept]


def write(path: Path, boxes: NDArray, scores: NDArray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [f"{x:.5f} {y:.5f} {w:.5f} {h:.5f} {s:.9g}" for (x, y, w, h), s in zip(boxes, scores, strict=True)]
    path.write_text("\n".join([path.stem, str(len(rows)), *rows, ""]))


if __name__ == "__main__":
    main()
