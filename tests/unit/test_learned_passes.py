"""A model without `size` keeps the way of running batches that is quicker for it, whatever it is."""

import itertools
import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.model.bucketing import groups_by_size
from worker.model.passes import JSON_PASS_COST, RETRY_EVERY, SHORT_SECONDS, LearnedPasses, Way

Cost = Callable[[Sequence[int]], float]
"""The seconds of one forward pass over inputs of these lengths."""

MIXED = [600, 40, 45, 50, 60, 35, 40, 55, 70, 30]
ALIKE = [50, 45, 60, 55, 40]


def padding(lengths: Sequence[int]) -> float:
    """A transformer: it computes what it pads."""
    return 0.005 + 1e-4 * len(lengths) * max(lengths)


def bag_of_words(lengths: Sequence[int]) -> float:
    """Each pass costs the same; what is in it costs little."""
    return 0.005 + 1e-6 * sum(lengths)


def run(learned: LearnedPasses, lengths: Sequence[int], cost: Cost) -> tuple[Way | None, float]:
    """Run one batch; the way that it was run in, and its seconds."""
    passes = learned.choose(len(lengths), lambda: lengths)
    seconds = sum(cost([lengths[position] for position in group]) for group in passes.groups)
    learned.measured(passes, seconds)
    return passes.way, seconds


def ways(cost: Cost, batches: int, lengths: Sequence[int] = MIXED) -> list[Way | None]:
    learned = LearnedPasses()
    return [run(learned, lengths, cost)[0] for _ in range(batches)]


def test_the_first_batch_is_grouped_and_not_measured() -> None:
    learned = LearnedPasses()
    first = learned.choose(len(MIXED), lambda: MIXED)
    assert first.groups == groups_by_size(MIXED, JSON_PASS_COST)
    learned.measured(first, 60.0)  # the model's first pass took a minute
    assert [run(learned, MIXED, padding)[0] for _ in range(3)] == [Way.GROUPED, Way.WHOLE, Way.GROUPED]


@pytest.mark.parametrize(("cost", "quicker"), [(padding, Way.GROUPED), (bag_of_words, Way.WHOLE)])
def test_the_quicker_way_is_kept_and_the_other_one_tried_now_and_then(cost: Cost, quicker: Way) -> None:
    unmeasured, *chosen = ways(cost, 1 + 4 * RETRY_EVERY)
    assert unmeasured is None
    assert chosen[:2] == [Way.GROUPED, Way.WHOLE]
    others = [number for number, way in enumerate(chosen, start=1) if number > 2 and way is not quicker]
    assert others == [4, 8, 16, 32, 64, 128, 256, 512, 768, 1024]


def test_a_gain_that_is_not_clear_is_none() -> None:
    """Grouped, this batch takes nine hundredths less."""
    grouped = len(groups_by_size(MIXED, JSON_PASS_COST))
    assert set(ways(lambda lengths: 0.91 / grouped if len(lengths) < len(MIXED) else 1.0, 4)[3:]) == {Way.WHOLE}


def test_a_measurement_that_was_disturbed_is_corrected_by_the_next_of_its_way() -> None:
    learned = LearnedPasses()
    run(learned, MIXED, padding)
    run(learned, MIXED, lambda lengths: 100 * padding(lengths))  # grouped, while the machine was busy
    found = [run(learned, MIXED, padding)[0] for _ in range(10)]
    assert found[:3] == [Way.WHOLE, Way.WHOLE, Way.GROUPED]  # the fourth is the trial
    assert set(found[3:6]) == {Way.GROUPED}


def test_a_model_that_becomes_another_kind_is_found_out() -> None:
    learned = LearnedPasses()
    for _ in range(300):
        run(learned, MIXED, padding)
    found = [run(learned, MIXED, bag_of_words)[0] for _ in range(6 * RETRY_EVERY)]
    assert found[-10:] == [Way.WHOLE] * 10


def test_short_batches_are_whole_and_their_lengths_are_not_asked_for() -> None:
    learned = LearnedPasses()

    def quick(lengths: Sequence[int]) -> float:
        return SHORT_SECONDS / 10

    def never() -> Sequence[int]:
        raise AssertionError("nobody needs the lengths")

    run(learned, MIXED, quick)
    run(learned, MIXED, quick)
    for _ in range(RETRY_EVERY * 2):
        passes = learned.choose(len(MIXED), never)
        assert passes.groups == [list(range(len(MIXED)))]
        learned.measured(passes, SHORT_SECONDS / 10)


def test_a_long_batch_after_short_ones_is_grouped_again() -> None:
    learned = LearnedPasses()
    for _ in range(3):
        run(learned, ALIKE, lambda lengths: SHORT_SECONDS / 2)
    assert run(learned, MIXED, padding)[0] is None  # whole: those before were short
    assert run(learned, MIXED, padding)[0] is Way.GROUPED


def test_where_grouping_splits_nothing_there_is_nothing_to_choose() -> None:
    assert ways(padding, 20, ALIKE) == [None] * 20
    assert ways(padding, 20, [700]) == [None] * 20
    assert LearnedPasses().choose(0, list).groups == []


def test_a_batch_that_failed_leaves_no_measurement() -> None:
    learned = LearnedPasses()
    run(learned, MIXED, padding)
    assert [learned.choose(len(MIXED), lambda: MIXED).way for _ in range(3)] == [Way.GROUPED] * 3


@given(
    st.floats(0, 0.02),
    st.floats(1e-6, 1e-4),
    st.booleans(),
    st.integers(0, 2**32),
)
def test_over_many_batches_it_costs_little_more_than_the_better_of_both_ways(
    fixed: float, each: float, pads: bool, seed: int
) -> None:
    def cost(lengths: Sequence[int]) -> float:
        return fixed + each * (len(lengths) * max(lengths) if pads else sum(lengths))

    dice = random.Random(seed)
    learned = LearnedPasses()
    taken, whole, grouped, worst = 0.0, 0.0, 0.0, 0.0
    for _ in range(400):
        lengths = [20 + int(dice.lognormvariate(4.6, 0.8)) for _ in range(10)]
        taken += run(learned, lengths, lambda found: dice.uniform(1, 1.3) * cost(found))[1]
        one = cost(lengths)
        several = sum(cost([lengths[at] for at in group]) for group in groups_by_size(lengths, JSON_PASS_COST))
        whole, grouped, worst = whole + one, grouped + several, max(worst, one, several)
    # A tenth for what is tried and a tenth for what is not clear, the noise itself, and a dozen batches to learn.
    assert taken <= 1.2 * 1.3 * min(whole, grouped) + 12 * worst


@given(st.lists(st.lists(st.integers(0, 3000), min_size=1, max_size=12), max_size=60), st.integers(0, 2**32))
def test_every_input_is_in_exactly_one_pass_and_equal_histories_give_equal_choices(
    batches: list[list[int]], seed: int
) -> None:
    found = []
    for learned in (LearnedPasses(), LearnedPasses()):
        dice = random.Random(seed)
        chosen = []
        for lengths in batches:
            passes = learned.choose(len(lengths), lambda lengths=lengths: [2 + length for length in lengths])  # type: ignore[misc]
            assert sorted(itertools.chain.from_iterable(passes.groups)) == list(range(len(lengths)))
            learned.measured(passes, dice.uniform(0, 0.02))
            chosen.append(passes)
        found.append(chosen)
    assert found[0] == found[1]
