"""A batch is split where padding costs more than a pass."""

from hypothesis import given
from hypothesis import strategies as st

from worker.model.bucketing import groups_by_size


def test_like_sizes_stay_together() -> None:
    assert groups_by_size([10, 12, 11, 20], 0) == [[3, 1, 2, 0]]
    assert groups_by_size([], 0) == []


def test_a_long_input_does_not_pad_the_short_ones() -> None:
    assert groups_by_size([10, 100, 12, 11], 16) == [[1], [2, 3, 0]]


def test_a_pass_that_saves_less_than_it_costs_is_not_made() -> None:
    assert groups_by_size([10, 100], 89) == [[1], [0]]
    assert groups_by_size([10, 100], 90) == [[1, 0]]


def test_without_sizes_the_batch_stays_as_it_is() -> None:
    assert groups_by_size([3, None, 100], 0) == [[0, 1, 2]]
    assert groups_by_size([None, None], 0) == [[0, 1]]


@given(st.lists(st.integers(0, 2000), max_size=40), st.integers(0, 500))
def test_every_input_is_in_one_group_and_the_waste_is_bounded(sizes: list[int], pass_cost: int) -> None:
    groups = groups_by_size(sizes, pass_cost)
    assert sorted(position for group in groups for position in group) == list(range(len(sizes)))
    split = sum(len(group) * sizes[group[0]] for group in groups) + pass_cost * len(groups)
    if sizes:
        assert split <= len(sizes) * max(sizes) + pass_cost, "never worse than one pass"
    assert all(sizes[position] <= sizes[group[0]] for group in groups for position in group)
    if pass_cost == 0:
        assert all(sizes[position] * 2 >= sizes[group[0]] for group in groups for position in group)
