"""Nodes are found by their own name, with their stage's, and stage by stage."""

import pytest
from kedro.pipeline import Pipeline, node, pipeline

from placid_kedro.app.node_names import full_names
from placid_kedro.errors import ParameterError

PIPELINE = pipeline(
    [node(len, "a", "b", name="count"), node(repr, "b", "c", name="show")],
    namespace="first",
    prefix_datasets_with_namespace=False,
) + Pipeline([node(repr, "c", "d", name="print")])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("count", ["first.count"]),
        ("first.show", ["first.show"]),
        ("first", ["first.count", "first.show"]),
        ("print", ["print"]),
    ],
)
def test_a_name_is_made_whole(given: str, expected: list[str]) -> None:
    assert full_names([given], PIPELINE) == expected


def test_a_mistyped_name_is_one_sentence_with_the_nearest() -> None:
    with pytest.raises(ParameterError, match=r"no node or stage 'cuont'; did you mean 'count'\?"):
        full_names(["cuont"], PIPELINE)
    with pytest.raises(ParameterError, match=r"no node or stage 'zzz'; it has count, first"):
        full_names(["zzz"], PIPELINE)
