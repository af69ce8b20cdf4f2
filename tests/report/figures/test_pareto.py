import random
import re
import xml.etree.ElementTree as ElementTree

import pytest

from bench.report.compare.board_report import report_on
from bench.report.compare.leaderboard import build_boards
from bench.report.figures.board_figures import draw_figures, pareto_figure, subsets_figure
from bench.report.figures.label_placement import Box, anchor_of, place_labels
from bench.report.figures.pareto import describe_point, pareto_front, pareto_points
from bench.report.figures.pareto_svg import pareto_svg
from bench.report.figures.plot_style import linear_ticks, log_ticks, styles_of


def board_of(make_record, *rows):
    """A board of (detector, GMACs, AP hard)."""
    records = [
        make_record(detector=name, metrics={"val/AP_hard": ap}, cost={"macs": round(macs * 1e9)})
        for name, macs, ap in rows
    ]
    return build_boards(records)[0]


def test_front_by_hand():
    #        cheap  better dominated twin   twin  best
    costs = [1.0, 2.0, 2.5, 3.0, 3.0, 9.0]
    scores = [0.2, 0.5, 0.4, 0.6, 0.6, 0.7]
    assert pareto_front(costs, scores) == [True, True, False, True, True, True]
    assert pareto_front([], []) == []


def test_front_against_the_definition():
    generator = random.Random(1)
    for _ in range(50):
        points = [(generator.randint(1, 6), generator.randint(1, 6)) for _ in range(12)]
        costs, scores = [c for c, _ in points], [s for _, s in points]
        expected = [not any(c <= a and s >= b and (c, s) != (a, b) for c, s in points) for a, b in points]
        assert pareto_front(costs, scores) == expected


def test_points_need_a_cost(make_record):
    records = [make_record(), make_record(detector="file", cost=None)]
    (point,) = pareto_points(build_boards(records)[0])
    assert (point.label, point.macs, point.score, point.front) == ("scrfd_2.5g", 2.5e9, 0.7, True)


def test_svg_is_well_formed_and_tells_each_point(make_record):
    board = board_of(make_record, ("a", 0.5, 0.4), ("b", 2.0, 0.6), ("c", 3.0, 0.5))
    root = ElementTree.fromstring(pareto_svg(board))
    points = [group for group in root.iter("g") if "point" in group.get("class", "")]
    assert len(points) == 3
    assert "AP hard: 60.00" in points[1].find("title").text
    assert "GMACs: 2.00" in points[1].find("title").text
    assert len({group.get("class") for group in points}) == 3  # a colour each
    labels = [text.text for text in root.iter("text") if "label" in text.get("class", "")]
    assert sorted(labels) == ["a", "b", "c"]
    front = next(path.get("d") for path in root.iter("path") if path.get("class") == "front")
    assert front.count("V") == 1  # one step, from a up to b; c is dominated


def test_svg_places_follow_the_values(make_record):
    svg = pareto_svg(board_of(make_record, ("a", 0.1, 0.2), ("b", 1.0, 0.4), ("c", 10.0, 0.6)))
    places = [(float(x), float(y)) for x, y in re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', svg)]
    (xa, ya), (xb, yb), (xc, yc) = places
    assert xb - xa == pytest.approx(xc - xb, abs=0.2)  # equal factors, equal steps on the log axis
    assert ya - yb == pytest.approx(yb - yc, abs=0.2)
    assert ya > yc


def test_no_plot_without_a_cost(make_record):
    board = build_boards([make_record(cost=None)])[0]
    assert pareto_svg(board) == ""
    assert pareto_figure(board) is None


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_one_point_alone_can_be_drawn(make_record, value):
    board = board_of(make_record, ("a", 2.5, value))
    ElementTree.fromstring(pareto_svg(board))
    assert pareto_figure(board) is not None


def test_ticks():
    assert log_ticks(0.5, 10.0) == pytest.approx([0.2, 0.5, 1, 2, 5, 10, 20])
    assert linear_ticks(20.0, 85.0) == pytest.approx([10, 20, 30, 40, 50, 60, 70, 80, 90])
    low, *_, high = linear_ticks(0.0, 0.0)
    assert low == 0.0 < high
    for low, high in ((3.0, 3.0), (81.2, 81.9), (0.001, 0.0012)):
        ticks = linear_ticks(low, high)
        assert ticks[0] <= low <= high <= ticks[-1]
        assert 2 <= len(ticks) <= 12


def test_styles_stay_apart_beyond_the_palette():
    styles = styles_of(f"d{index}" for index in range(30))
    assert len(set(styles.values())) == 30


def test_labels_never_overlap():
    generator = random.Random(0)
    points = [(generator.uniform(0, 500), generator.uniform(0, 300)) for _ in range(40)]
    frame = Box(0, 0, 500, 300)
    boxes = place_labels(points, [(70.0, 14.0)] * 40, [False] * 40, frame)
    placed = [box for box in boxes if box is not None]
    assert 10 < len(placed) <= 40
    assert not any(a.meets(b) for place, a in enumerate(placed) for b in placed[:place])
    assert all(box.lies_in(frame) for box in placed)
    assert not any(box.x0 < x < box.x1 and box.y0 < y < box.y1 for box in placed for x, y in points)


def test_a_label_is_fixed_at_its_end_near_the_point():
    assert anchor_of(Box(10, 0, 50, 10), 5) == (10, "start")
    assert anchor_of(Box(10, 0, 50, 10), 60) == (50, "end")
    assert anchor_of(Box(10, 0, 50, 10), 30) == (30, "middle")


def test_figures_are_files_and_the_same_each_time(make_record, tmp_path):
    records = [
        make_record(detector=d, seed=s, metrics={"val/AP_easy": ap, "val/AP_medium": ap, "val/AP_hard": ap})
        for d, ap in (("a", 0.4), ("b", 0.6))
        for s in (0, 1)
    ]
    board = build_boards(records)[0]
    paths = draw_figures(report_on(board), tmp_path / "one")
    again = draw_figures(report_on(board), tmp_path / "two")
    assert [path.name.split("_")[0] + path.suffix for path in paths] == [
        "pareto.png",
        "pareto.svg",
        "subsets.png",
        "subsets.svg",
    ]
    assert [path.read_bytes() for path in paths] == [path.read_bytes() for path in again]
    assert paths[0].read_bytes().startswith(b"\x89PNG")
    ElementTree.parse(paths[1])


def test_subsets_need_all_their_metrics(make_record):
    board = build_boards([make_record(metrics={"val/AP": 0.5, "val/APs": 0.1})])[0]
    assert subsets_figure(board) is None


def test_names_tell_rows_of_a_detector_apart_and_nothing_else(make_record):
    records = [
        make_record(
            detector=detector,
            detector_axis="computation_redistribution",
            ablations={"budget": "0.5 GF", "computation_redistribution": cr, "sample_redistribution": sr},
        )
        for detector, cr in (("base", "off"), ("scrfd", "on"))
        for sr in ("off", "on")
    ]
    records.append(make_record(detector="scrfd"))
    names = sorted(point.label for point in pareto_points(build_boards(records)[0]))
    assert names == [
        "base · sample_redistribution=off",
        "base · sample_redistribution=on",
        "scrfd",
        "scrfd · sample_redistribution=off",
        "scrfd · sample_redistribution=on",
    ]


def names_of(*records):
    return sorted(point.label for point in pareto_points(build_boards(records)[0]))


def test_names_tell_changes_and_settings_of_rows_of_one_name(make_record):
    changed = make_record(changes={"recipe.lr": 0.02}, protocol={"postprocess": "soft_nms"})
    assert names_of(make_record(), changed) == ["scrfd_2.5g · nms", "scrfd_2.5g · soft_nms · recipe.lr=0.02"]
    twins = [make_record(training={"model": {"depth": depth}}) for depth in (2, 3)]
    assert names_of(*twins) == ["scrfd_2.5g · model.depth=2", "scrfd_2.5g · model.depth=3"]


def test_names_tell_how_the_weights_came_about_where_nothing_else_does(make_record):
    trained = [make_record(training={"recipe": {"epochs": epochs}}) for epochs in (12, 50)]
    assert names_of(*trained) == ["scrfd_2.5g · 12 epochs", "scrfd_2.5g · 50 epochs"]
    imported = make_record(provenance={"weights": "imported", "schedule": "none"}, ablations={"neck": "none"})
    assert names_of(trained[0], imported) == ["scrfd_2.5g", "scrfd_2.5g · neck=none"]


def test_a_point_says_all_that_names_it(make_record):
    records = [
        make_record(ablations={"neck": "bifpn"}, changes={"recipe.lr": 0.02}, training={"model": {"depth": depth}})
        for depth in (2, 3)
    ]
    point = pareto_points(build_boards(records)[0])[0]
    assert describe_point(point, "val/AP_hard").splitlines()[:3] == [
        "scrfd_2.5g",
        "neck=bifpn, postprocess=nms, recipe.lr=0.02",
        "model.depth=2",
    ]
