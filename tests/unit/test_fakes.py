"""The fake table keeps the contract that the real adapter keeps; the fake queue does what SQS does."""

import pytest

from tests.unit.conditions import holds
from tests.unit.fake_queue import FakeQueue
from tests.unit.fake_table import FakeTable
from tests.unit.fakes import Clock
from tests.unit.samples import a_message, a_record
from tests.unit.stripped_table import StrippedTable
from tests.unit.table_contract import Subject, TableContract


class TestFakeTable(TableContract):
    @pytest.fixture
    def subject(self) -> Subject:
        table = FakeTable()
        return Subject(table, lambda *records: [table.put(record) for record in records] and None)


class TestStrippedTable(TableContract):
    """The adapter itself, where batch refusals bring no record."""

    @pytest.fixture
    def subject(self) -> Subject:
        table = StrippedTable()
        return Subject(table, lambda *records: [table.put(record) for record in records] and None)


@pytest.mark.parametrize(
    ("condition", "result"),
    [
        ("[a] = :one", True),
        ("[a] = :two", False),
        ("[a] < :two AND [b] = :x", True),
        ("[a] = :two OR [b] = :x AND [a] < :two", True),
        ("([a] = :two OR [b] = :x) AND [a] = :two", False),
        ("missing[c] AND (missing[a] OR [a] <= :one)", True),
        ("[c] = :one OR [c] < :one OR :one = [c]", False),
        ("[a] < [d]", True),
        ("[a] = :x", False),
        ("[a] >= :one AND [a] > :zero", True),
    ],
)
def test_conditions(condition: str, result: bool) -> None:
    item = {"a": 1, "b": "x", "d": 2}
    assert holds(condition, item, {"one": 1, "two": 2, "x": "x", "zero": 0}) == result


@pytest.mark.parametrize("condition", ["[a] = :one [b]", "[a] != :one", "a = :one"])
def test_what_is_no_condition(condition: str) -> None:
    with pytest.raises((ValueError, AssertionError)):
        holds(condition, {"a": 1}, {"one": 1})


def test_the_queue_hides_brings_back_and_gives_up() -> None:
    clock = Clock()
    queue = FakeQueue(clock, visibility=10, max_receives=2)
    queue.send(a_message(a_record()))
    (first,) = queue.receive()
    assert queue.receive() == []
    clock.advance(seconds=10)
    (second,) = queue.receive()
    assert queue.show_again({first["receiptHandle"]: 0, second["receiptHandle"]: 3}) == [first["receiptHandle"]]
    clock.advance(seconds=3)
    assert queue.receive() == []
    assert (queue.dead, queue.is_empty()) == ([first["body"]], True)
