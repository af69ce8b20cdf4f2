"""Operators as they are compared: in what order, and in what words."""

from bench.weights.operators import INPUT, Operator, convolutions_first, mismatches, single


def test_factors_come_last_and_sources_follow() -> None:
    """A factor of one branch may be computed before the norm of the next, or after it."""
    one, two, image = frozenset({0}), frozenset({2}), frozenset({INPUT})
    convolutions = [Operator("conv", name, (4, 3, 1, 1), sources=image) for name in ("a", "b")]
    factor, norm = Operator("scale", "factor", (), sources=one), Operator("groupnorm", "norm", (4,), sources=two)
    last = Operator("conv", "c", (4, 4, 1, 1), sources=frozenset({3}))
    found = convolutions_first([(own, None) for own in (convolutions[0], factor, convolutions[1], norm, last)])
    assert [own.name for own, _ in found] == ["a", "b", "c", "norm", "factor"]
    assert [sorted(own.sources) for own, _ in found] == [[INPUT], [INPUT], [3], [1], [0]]


def test_epsilon_and_groups_are_told() -> None:
    own = Operator("groupnorm", "own", (4,), groups=2, epsilon=single(1e-5))
    same = Operator("groupnorm", "same", (4,), groups=2, epsilon=9.999999747378752e-06)  # as a file of 32 bits has it
    assert mismatches([own], [same]) == []
    other = Operator("groupnorm", "other", None, groups=4, epsilon=single(1e-3))
    (line,) = mismatches([own], [other])
    assert line == (
        "operator 0: other has weight none, groups 4, epsilon 0.001; own expects weight (4,), groups 2, epsilon 1e-05"
    )
