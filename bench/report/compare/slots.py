"""Slots: detectors that are sides of one idea, such as a baseline and its redistributed network at the same budget.

Records that carry the ablation `budget` (this name is the convention) with the same label stand in one slot. The grid
that made a record declares which axis names the detector there, `record.detector_axis`:
`computation_redistribution=off` is the baseline, `on` is SCRFD. Rows are compared across detectors along this axis
alone; along every other one the detector is held fixed.
"""

from bench.records.record import Record

SLOT = "budget"


def names_detector(record: Record, axis: str) -> bool:
    """Whether the record's label of `axis` stands for its detector: it is declared, and the record has a budget."""
    return axis == record.detector_axis and {axis, SLOT} <= record.ablations.keys()


def names_of(record: Record) -> frozenset[str]:
    """The ablations that only say what the detector is: its budget, and the axis that names it."""
    return frozenset(axis for axis in record.ablations if axis == SLOT or names_detector(record, axis))
