"""What is one row, what its name says, and what tells rows of one name apart."""

import pytest

from bench.report.compare.board_report import report_on
from bench.report.compare.distinctions import settings_in_words
from bench.report.compare.leaderboard import build_boards
from bench.report.tables.markdown import markdown_boards

TRAINED = {"recipe": {"epochs": 14}, "data": {"name": "wider_face", "split": "train", "images": 710}}


def rows_of(*records):
    (board,) = build_boards(records)
    return board.rows


def settings_of(*records):
    """Detector and settings of each row, in no order."""
    return sorted((row.detector, settings_in_words(row.settings)) for row in rows_of(*records))


def test_what_differs_is_never_averaged(make_record):
    rows = rows_of(
        make_record(seed=0),
        make_record(seed=1, provenance={"schedule": "smoke"}),
        make_record(seed=2, ablations={"neck": "bifpn"}),
        make_record(seed=3, protocol={"postprocess": "blending"}),
        make_record(seed=4, training={"data": {"name": "synth_faces"}}),
        make_record(seed=5, training={"recipe": {"epochs": 12}}),
        make_record(seed=6, changes={"recipe.lr": 0.02}),
        make_record(seed=7, provenance={"weights": "random"}),
        make_record(seed=8, training={"model": {"depth": 3}}),  # of the same name as the first
    )
    assert len(rows) == 9
    assert sorted(row.settings.get("model.depth", "") for row in rows if row.alike) == ["3", "unset"]


def test_a_name_is_the_ablations_and_then_the_changes(make_record):
    changes = {"recipe.lr": 0.02, "precision": "bf16-mixed", "recipe.milestones": [8, 11]}
    (row,) = rows_of(make_record(ablations={"neck": "bifpn", "assigner": "atss"}, changes=changes))
    assert row.name == "assigner=atss, neck=bifpn, precision=bf16-mixed, recipe.lr=0.02, recipe.milestones=[8,11]"


def test_rows_of_one_name_tell_the_values_in_which_they_differ(make_record):
    plain = make_record(training=TRAINED | {"validation": {"split": "val", "every": 5}})
    other = make_record(training=TRAINED | {"validation": {"split": "held_out", "every": 5, "inference": None}})
    assert [text for _, text in settings_of(plain, other)] == [
        "validation.inference=null, validation.split=held_out",
        "validation.inference=unset, validation.split=val",
    ]
    assert settings_of(plain, make_record(detector="another")) == [("another", ""), ("scrfd_2.5g", "")]


def test_numbers_that_are_equal_and_written_differently_are_told(make_record):
    records = [make_record(training={"recipe": {"momentum": value}}) for value in (1, 1.0)]
    assert [text for _, text in settings_of(*records)] == ["recipe.momentum=1", "recipe.momentum=1.0"]


def test_digests_are_told_only_where_nothing_else_differs(make_record):
    def trained_on(digest, lr):
        data = TRAINED["data"] | {"annotation_hash": digest * 10}
        return make_record(training={"data": data, "recipe": {"lr": lr}})

    assert [text for _, text in settings_of(trained_on("a", 1), trained_on("b", 2))] == ["recipe.lr=1", "recipe.lr=2"]
    assert [text for _, text in settings_of(trained_on("a", 1), trained_on("b", 1))] == [
        "data.annotation_hash=aaaaaaaa",
        "data.annotation_hash=bbbbbbbb",
    ]
    three = settings_of(trained_on("a", 1), trained_on("b", 1), trained_on("b", 2))
    assert len(set(three)) == 3


def test_files_of_weights_are_told_by_their_digests(make_record):
    imported = {"weights": "imported", "schedule": "none"}
    records = [make_record(training={"weights": digit * 64}, provenance=imported) for digit in "12"]
    assert [text for _, text in settings_of(*records)] == ["weights=11111111", "weights=22222222"]


def test_the_size_of_the_train_set_is_part_of_the_name(make_record):
    records = [make_record(training={"data": TRAINED["data"] | {"images": images}}) for images in (710, 12880)]
    rows = rows_of(*records)
    assert sorted(row.train_set for row in rows) == [
        "wider_face train (12,880 images)",
        "wider_face train (710 images)",
    ]
    assert not any(row.alike for row in rows)


def test_a_protocol_that_is_not_the_same_in_all_rows_is_seen(make_record):
    """Its name and version should have fixed it; ablations and detectors do not matter."""
    records = [
        make_record(detector="a"),
        make_record(detector="b", evaluation={"protocol": {"score_threshold": 0.5}}),
        make_record(detector="c", protocol={"postprocess": "blending"}, ablations={"neck": "bifpn"}),
    ]
    assert settings_of(*records) == [
        ("a", "protocol.score_threshold=0.02"),
        ("b", "protocol.score_threshold=0.5"),
        ("c", "protocol.score_threshold=0.02"),
    ]


def test_so_is_a_post_processor_unless_a_name_says_that_it_was_changed(make_record):
    def record(detector, sigma, **named):
        return make_record(detector=detector, evaluation={"postprocess": {"sigma": sigma}}, **named)

    assert settings_of(record("a", 0.5), record("b", 0.6)) == [
        ("a", "postprocess.sigma=0.5"),
        ("b", "postprocess.sigma=0.6"),
    ]
    for named in ({"ablations": {"decay": "fast"}}, {"changes": {"postprocess.sigma": 0.6}}):
        assert settings_of(record("a", 0.5), record("a", 0.6, **named)) == [("a", ""), ("a", "")]
    assert settings_of(record("a", 0.5), record("a", 0.6, protocol={"postprocess": "soft_nms"})) == [("a", "")] * 2


def test_a_path_of_both_trees_keeps_the_name_of_its_tree(make_record):
    records = [make_record(training={"size": size}, evaluation={"size": size}) for size in (1, 2)]
    assert settings_of(*records)[0] == ("scrfd_2.5g", "evaluation.size=1, training.size=1")


def test_of_many_settings_the_first_suffice_to_tell_rows_apart(make_record):
    """Rows two by two in `z` and `y`; ten more values differ with `z`."""
    records = [
        make_record(training={"y": y, "z": z, "model": {f"a{k}": z for k in range(10)}}) for z in (0, 1) for y in (0, 1)
    ]
    texts = [text for _, text in settings_of(*records)]
    assert len(set(texts)) == 4
    assert all(text.endswith(" and 7 more") for text in texts)
    rows = rows_of(*records)
    assert all(settings_in_words(row.settings, most=None).count("=") == 12 for row in rows)


def test_rows_of_a_published_table_never_look_the_same(make_record):
    records = [
        make_record(training={"model": {"depth": depth}}, evaluation={"postprocess": {"cap": cap}})
        for depth in (2, 3)
        for cap in (10, 20)
    ]
    text = markdown_boards([report_on(build_boards(records)[0])])
    lines = [line.split("|")[3:] for line in text.splitlines() if line.startswith("| 1 ")]
    assert len(lines) == len({tuple(line) for line in lines}) == 4
    assert all(record.cell_id not in text for record in records)


@pytest.mark.parametrize(
    ("training", "epochs", "train_set"),
    [
        ({}, None, ""),
        (TRAINED, 14, "wider_face train (710 images)"),
        ({"data": {"name": "mine"}}, None, "mine"),
        ({"data": {"annotation_hash": "ab"}}, None, '{"annotation_hash": "ab"}'),
    ],
)
def test_what_a_training_is_known_by(make_record, training, epochs, train_set):
    (row,) = rows_of(make_record(training=training))
    assert (row.record.epochs, row.train_set) == (epochs, train_set)
