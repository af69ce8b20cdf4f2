import pytest

from bench.records.identity import cell_id_of, difference, digest, in_words, leaves, train_id_of

TREE = {"model": {"depth": 2, "head": {"channels": 16}}, "recipe": {"steps": [8, 11], "extra": {}}}


def test_a_digest_is_of_the_content_and_not_of_its_order():
    assert digest({"a": 1, "b": [2, 3]}) == digest({"b": [2, 3], "a": 1})
    assert digest({"a": [2, 3]}) != digest({"a": [3, 2]})
    assert len(digest({})) == 10
    with pytest.raises(ValueError, match="JSON"):
        digest({"a": float("nan")})


def test_the_evaluation_is_in_the_cell_alone():
    assert train_id_of(TREE) == digest(TREE)
    assert cell_id_of(TREE, {"protocol": 1}) == digest([train_id_of(TREE), {"protocol": 1}])
    assert cell_id_of(TREE, {"protocol": 1}) != cell_id_of(TREE, {"protocol": 2})


def test_leaves_are_values_under_dotted_paths():
    assert leaves(TREE) == {
        "model.depth": 2,
        "model.head.channels": 16,
        "recipe.steps": [8, 11],
        "recipe.extra": {},
    }
    assert leaves({}) == {}


def test_a_difference_has_the_values_of_the_first():
    other = {"model": {"depth": 3, "head": {"channels": 16}, "neck": "fpn"}, "recipe": {"steps": [8, 11], "extra": {}}}
    assert difference(TREE, other) == {"model.depth": 2, "model.neck": None}
    assert difference(other, TREE) == {"model.depth": 3, "model.neck": "fpn"}
    assert difference(TREE, TREE) == {}


def test_words_are_json_but_for_the_quotes_of_text():
    changes = {"recipe.lr": 0.02, "precision": "bf16-mixed", "clip": True, "cap": None, "steps": [8, 11]}
    assert in_words(changes) == "recipe.lr=0.02, precision=bf16-mixed, clip=true, cap=null, steps=[8,11]"
    assert in_words({}) == ""
