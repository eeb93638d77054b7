"""Objects held out from a training set."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from placid_kedro.objects.split import split_objects

NAMES = st.lists(
    st.sampled_from(["chair", "Chair ", "lamp", "table", "a b", "a  B"]), min_size=1, max_size=30
)


@given(NAMES, st.floats(0.0, 0.9), st.integers(0, 5))
def test_namesakes_are_on_one_side(names, share, seed):
    split = split_objects(names, share, seed)
    parts = (split.trained, split.held_out, split.withheld)
    assert sorted(index for part in parts for index in part) == list(range(len(names)))
    normal = [" ".join(name.lower().split()) for name in names]
    trained = {normal[index] for index in split.trained}
    assert trained
    assert not trained & {normal[index] for index in (*split.held_out, *split.withheld)}
    assert split == split_objects(names, share, seed)


def test_at_least_one_is_held_out_where_one_can_be():
    split = split_objects(["chair", "lamp", "chair"], 0.01, 0)
    assert len(split.held_out) == 1 and len(split.trained) + len(split.withheld) == 2
    assert split_objects(["chair", "chair"], 0.5, 0) == split_objects(["chair", "chair"], 0.0, 0)
