import csv
import io
import re
from xml.etree import ElementTree

import pytest

from bench.report.compare.board_report import report_on
from bench.report.compare.crossings import MOST_SHOWN
from bench.report.compare.interactions import find_interactions
from bench.report.compare.leaderboard import build_boards
from bench.report.figures.board_figures import draw_figures
from bench.report.figures.interaction_figure import interaction_figure
from bench.report.figures.matplotlib_style import figure_bytes
from bench.report.site.page import render_page
from bench.report.tables.interaction_tables import ONE_SEED, corner_table, effect_table, interaction_csv
from bench.report.tables.markdown import markdown_document, markdown_table

# One row per seed: neither, first alone, second alone, both.
BY_HAND = {0: (0.10, 0.20, 0.15, 0.35), 1: (0.12, 0.24, 0.17, 0.33)}
ABLATIONS = ({"a": "off", "b": "off"}, {"a": "on", "b": "off"}, {"a": "off", "b": "on"}, {"a": "on", "b": "on"})


@pytest.fixture
def two_by_two(make_record):
    """The records of four cells: `values` by seed, `common` ablations on all of them, changes of a record."""

    def make(values=BY_HAND, common=None, detectors=("scrfd_2.5g",) * 4, **changes):
        return [
            make_record(
                seed=seed,
                detector=detectors[place],
                ablations={**ablations, **(common or {})},
                metrics={"val/AP_hard": ap[place], "val/AP_easy": ap[place] + 0.1, "train/loss": 3.0},
                **changes,
            )
            for seed, ap in values.items()
            for place, ablations in enumerate(ABLATIONS)
        ]

    return make


def found_in(records):
    (board,) = build_boards(records)
    return find_interactions(board)


def test_effects_by_hand_seed_by_seed(two_by_two):
    (found,) = found_in(two_by_two())
    assert (found.axes, found.ablations) == (("a", "b"), (("off", "on"), ("off", "on")))
    means = {name: stats["val/AP_hard"].mean for name, stats in found.effects.items()}
    assert means == {
        "first_alone": pytest.approx(0.11),  # 0.10 and 0.12
        "first_with_second": pytest.approx(0.18),  # 0.20 and 0.16
        "second_alone": pytest.approx(0.05),  # 0.05 and 0.05
        "second_with_first": pytest.approx(0.12),  # 0.15 and 0.09
        "sum_alone": pytest.approx(0.16),  # 0.15 and 0.17
        "both": pytest.approx(0.23),  # 0.25 and 0.21
        "interaction": pytest.approx(0.07),  # 0.10 and 0.04
    }
    interaction = found.effects["interaction"]["val/AP_hard"]
    assert interaction.n == 2
    assert interaction.std == pytest.approx((2 * 0.03**2) ** 0.5)
    assert found.values[1, 0]["val/AP_hard"].mean == pytest.approx(0.22)
    assert found.metrics == ["val/AP_easy", "val/AP_hard"]


def test_only_seeds_of_all_four_cells_count(two_by_two, make_record):
    records = two_by_two()
    extra = two_by_two({7: (0.9, 0.9, 0.9, 0.9)})[:3]  # a seed that the fourth cell lacks
    (found,) = found_in(records + extra)
    assert list(found.samples) == [0, 1]
    assert found.values[0, 0]["val/AP_hard"].mean == pytest.approx(0.11)
    assert found_in([record for record in records if (record.seed == 0) == (record.ablations["a"] == "on")]) == []


def test_a_metric_that_one_cell_lacks_is_left_out(two_by_two, make_record):
    records = two_by_two()
    lacking = records[0].model_copy(update={"metrics": {"val/AP_hard": 0.1}})
    (found,) = found_in([lacking, *records[1:]])
    assert found.metrics == ["val/AP_hard"]


@pytest.mark.parametrize("missing", range(4))
def test_an_incomplete_cell_is_none(two_by_two, missing):
    records = two_by_two()
    assert found_in([record for record in records if record.ablations != ABLATIONS[missing]]) == []


def test_three_labels_are_no_two_by_two(two_by_two, make_record):
    third = [make_record(ablations={"a": "third", "b": b}) for b in ("off", "on")]
    assert found_in(two_by_two() + third) == []


def test_cells_that_differ_in_more_do_not_meet(two_by_two):
    smoke = two_by_two(provenance={"schedule": "smoke"})
    full = two_by_two()
    mixed = [*full[:3], *full[4:7], smoke[3], smoke[7]]
    assert found_in(mixed) == []
    assert len(found_in(full + smoke)) == 2


def test_trainings_of_other_length_or_data_are_questions_of_their_own(two_by_two):
    long = {"recipe": {"epochs": 28}, "data": {"name": "wider_face", "split": "train", "images": 710}}
    short = long | {"recipe": {"epochs": 14}}
    report = report_on(build_boards([*two_by_two(training=long), *two_by_two(training=short)])[0])
    (crossing,) = report.crossings
    assert [crossing.name_of(found) for found in crossing.shown] == ["scrfd_2.5g, epochs=14", "scrfd_2.5g, epochs=28"]
    assert crossing.left_out == 0


def test_a_change_holds_for_all_four(two_by_two):
    changed = two_by_two(changes={"recipe.lr": 0.02})
    assert found_in([*two_by_two()[:3], changed[3]]) == []
    found = found_in([*two_by_two(), *changed])
    assert sorted(pair.held.get("recipe.lr", 0) for pair in found) == [0, 0.02]


def test_a_row_that_sets_no_axis_is_the_default(make_record):
    records = [make_record(ablations=given) for given in ({}, {"a": "x"}, {"b": "y"}, {"a": "x", "b": "y"})]
    (found,) = found_in(records)
    assert found.ablations == (("default", "x"), ("default", "y"))


def test_sides_of_a_budget_cross_with_a_setting(two_by_two):
    records = [
        *two_by_two(common={"budget": "0.5 GF"}, detectors=("base", "best", "base", "best"), detector_axis="a"),
        *two_by_two(common={"budget": "2.5 GF"}, detectors=("base_2", "best_2", "base_2", "best_2"), detector_axis="a"),
    ]
    found = found_in(records)
    assert [(pair.axes, pair.detectors, pair.held["budget"]) for pair in found] == [
        (("a", "b"), ("base", "best"), "0.5 GF"),
        (("a", "b"), ("base_2", "best_2"), "2.5 GF"),
    ]
    assert found[0].effects["interaction"]["val/AP_hard"].mean == pytest.approx(0.07)


def test_detectors_that_no_axis_names_do_not_cross(two_by_two):
    records = two_by_two(detectors=("one", "two", "one", "two"))
    assert found_in(records) == []
    assert found_in(two_by_two(common={"budget": "0.5 GF"}, detectors=("one", "two", "one", "two"))) == []
    side = {"common": {"budget": "0.5 GF"}, "detector_axis": "a"}
    assert len(found_in(two_by_two(detectors=("one", "two", "one", "two"), **side))) == 1
    assert found_in([*two_by_two(detectors=("one", "two", "one", "two"), **side), *two_by_two(**side)]) == []


def test_post_processors_are_not_crossed_and_only_the_usual_is_shown(two_by_two):
    records = [record for name in ("soft_nms", "nms") for record in two_by_two(protocol={"postprocess": name})]
    (board,) = build_boards(records)
    report = report_on(board)
    assert {found.axes for found in report.interactions} == {("a", "b")}
    assert len(report.interactions) == 2
    (crossing,) = report.crossings
    assert [found.held["postprocess"] for found in crossing.shown] == ["nms"]
    assert crossing.left_out == 1
    lines = list(csv.DictReader(io.StringIO(interaction_csv(report.interactions))))
    assert len(lines) == 4  # two metrics each


def test_many_are_cut_with_a_word(two_by_two):
    records = [record for k in range(MOST_SHOWN + 2) for record in two_by_two(common={"budget": f"{k} GF"})]
    report = report_on(build_boards(records)[0])
    (crossing,) = report.crossings
    assert (len(crossing.shown), crossing.left_out) == (MOST_SHOWN, 2)
    assert any(note.startswith("2 more") for note in crossing.notes)


def test_the_two_by_two_table_reads_as_such(two_by_two):
    (found,) = found_in(two_by_two())
    assert markdown_table(corner_table(found, "val/AP_hard")).splitlines() == [
        "| AP hard | b=off | b=on | Δ b |",
        "| --- | ---: | ---: | ---: |",
        "| a=off | 11.00 ± 1.41 (2) | 16.00 ± 1.41 (2) | +5.00 ± 0.00 (2) |",
        "| a=on | 22.00 ± 2.83 (2) | 34.00 ± 1.41 (2) | +12.00 ± 4.24 (2) |",
        "| Δ a | +11.00 ± 1.41 (2) | +18.00 ± 2.83 (2) | +7.00 ± 4.24 (2) |",
    ]
    lines = markdown_table(effect_table(found)).splitlines()
    assert lines[0] == "| Effect | Δ AP easy | Δ AP hard |"
    assert lines[2].startswith("| a off → on, b=off | +11.00")
    assert lines[-1].startswith("| interaction: both together beyond the sum | +7.00 ± 4.24 (2)")


def test_csv_keeps_full_precision(two_by_two):
    lines = list(csv.DictReader(io.StringIO(interaction_csv(found_in(two_by_two())))))
    line = next(line for line in lines if line["metric"] == "val/AP_hard")
    assert (line["first"], line["first_before"], line["second_after"], line["seeds"]) == ("a", "off", "on", "0 1")
    assert float(line["value_10_mean"]) == (0.20 + 0.24) / 2
    assert float(line["interaction_mean"]) == pytest.approx(0.07, abs=1e-15)
    assert len(line["cells"].split()) == 4


def test_one_seed_says_so(two_by_two):
    report = report_on(build_boards(two_by_two({0: BY_HAND[0]}))[0])
    for text in (markdown_document([report]), render_page([report])):
        assert ONE_SEED in text
    text = markdown_document([report_on(build_boards(two_by_two())[0])])
    assert ONE_SEED not in text
    assert "2 seeds." in text


def test_a_difference_of_one_seed_is_neither_good_nor_bad(two_by_two):
    marks = {}
    for seeds in ((0,), (0, 1)):
        page = render_page([report_on(build_boards(two_by_two({seed: BY_HAND[seed] for seed in seeds}))[0])])
        marks[len(seeds)] = len(re.findall(r'<td class="number  (?:good|bad)"', page))
    assert marks[1] == 0
    assert marks[2] > 0


def test_the_picture_shows_both_lines_every_seed_and_the_sum(two_by_two):
    report = report_on(build_boards(two_by_two())[0])
    figure = interaction_figure(report.crossings[0])
    (panel,) = figure.axes
    lines = {line.get_label(): [round(float(y), 6) for y in line.get_ydata()] for line in panel.lines}
    assert lines["a=off"] == [11.0, 16.0]
    assert lines["a=on"] == [22.0, 34.0]
    assert lines["if they simply added up"] == [22.0, 27.0]
    assert len(panel.lines) == 3 + 4  # two seeds on either line
    assert [text.get_text() for text in panel.get_xticklabels()] == ["off", "on"]


def test_the_picture_is_a_file_that_stays_the_same_and_markdown_finds_it(two_by_two, tmp_path):
    report = report_on(build_boards(two_by_two())[0])
    draw_figures(report, tmp_path / "figures")
    (picture,) = re.findall(r"\((figures/interaction\S+)\)", markdown_document([report]))
    content = (tmp_path / picture).read_bytes()
    ElementTree.fromstring(content)
    assert figure_bytes(interaction_figure(report.crossings[0]), "svg") == content
    assert "data:image/svg+xml;base64," in render_page([report])
