"""The document of `bench data stats` as rows: a CSV file, and tables for people."""

import csv
import io
from collections.abc import Mapping
from typing import Any

TABLES = {
    "faces_by_scale": "faces (or other objects) in an epoch, by scale in the training image",
    "positives_by_anchor_scale": "positive anchors in an epoch, by scale",
    "positives_by_stride": "positive anchors in an epoch, by stride",
}
OCTAVES = (8, 16, 32, 64, 128)  # scales at which the table for people gives the cumulative curve


def data_stats_csv(document: Mapping[str, Any]) -> str:
    """One number a row, in full precision: statistic, set (of crops, or of evaluated faces), key, value."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("statistic", "set", "key", "value"))
    scales = document["face_scale"]["scales"]
    for name, curve in document["face_scale"]["curves"].items():
        for scale, fraction in zip(scales, curve["below"], strict=False):
            writer.writerow(("fraction_of_faces_below", name, f"{scale:.6g}", fraction))
    for table in TABLES:
        for name, counts in document["crop_sets"].items():
            writer.writerows((table, name, key, value) for key, value in counts[table].items())
    return text.getvalue()


def data_stats_tables(document: Mapping[str, Any]) -> list[tuple[str, list[str], list[list[str]]]]:
    """Title, columns and rows of each table: cumulative face scale, then one for each of TABLES."""
    face_scale = document["face_scale"]
    places = [face_scale["scales"].index(float(octave)) for octave in OCTAVES]
    rows = [
        [name, f"{curve['faces']:,}", *(f"{100 * curve['below'][place]:.2f}" for place in places if curve["below"])]
        for name, curve in face_scale["curves"].items()
    ]
    columns = ["set", face_scale["of"], *(f"< {octave} px (%)" for octave in OCTAVES)]
    found = [(f"val {face_scale['of']} by scale at long side {face_scale['long_side']}", columns, rows)]
    for table, title in TABLES.items():
        found.append((title, *_crop_table(document, table)))
    return found


def _crop_table(document: Mapping[str, Any], table: str) -> tuple[list[str], list[list[str]]]:
    sets, ratio = document["crop_sets"], document["ratio"]
    first = next(iter(sets))
    rows = []
    for key in sets[first][table]:
        row = [key, *(f"{counts[table][key]:,.1f}" for counts in sets.values())]
        rows.append(row + [_times(ratio[name][table][key]) for name in ratio])
    return ["px", *sets, *(f"{name} / {first}" for name in ratio)], rows


def _times(ratio: float | None) -> str:
    return "–" if ratio is None else f"{ratio:.2f}"
