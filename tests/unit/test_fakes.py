"""The fake table keeps the contract that the real adapter keeps; the fake queue does what SQS does."""

import pytest

from inference.conditions import And, Attribute, Condition, Eq, Ge, Gt, Le, Lt, Missing, Or, Param
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
    """The adapter itself, where batch rejections bring no record."""

    @pytest.fixture
    def subject(self) -> Subject:
        table = StrippedTable()
        return Subject(table, lambda *records: [table.put(record) for record in records] and None)


X, ONE, TWO = Param("x"), Param("one"), Param("two")


@pytest.mark.parametrize(
    ("condition", "result"),
    [
        (Eq("a", ONE), True),
        (Eq("a", TWO), False),
        (Eq("a", 1), True),
        (And(Lt("a", TWO), Eq("b", X)), True),
        (And(Lt("a", TWO), Eq("b", "y")), False),
        (Or(Eq("a", TWO), And(Eq("b", X), Lt("a", TWO))), True),
        (And(Or(Eq("a", TWO), Eq("b", X)), Eq("a", TWO)), False),
        (And(Missing("c"), Or(Missing("a"), Le("a", ONE))), True),
        (Or(Eq("c", ONE), Lt("c", ONE), Missing("a")), False),
        (Lt("a", Attribute("d")), True),
        (Lt("a", Attribute("c")), False),
        (Eq("a", X), False),
        (And(Ge("a", ONE), Gt("a", 0)), True),
    ],
)
def test_conditions(condition: Condition, result: bool) -> None:
    assert holds(condition, {"a": 1, "b": "x", "d": 2}, {"one": 1, "two": 2, "x": "x"}) == result


def test_the_queue_hides_brings_back_and_gives_up() -> None:
    clock = Clock()
    queue = FakeQueue(clock, visibility=10, max_receives=2)
    queue.send(a_message(a_record()))
    (first,) = queue.receive()
    assert queue.receive() == []
    clock.advance(seconds=10)
    (second,) = queue.receive()
    assert queue.set_visibility({first["receiptHandle"]: 0, second["receiptHandle"]: 3}) == [first["receiptHandle"]]
    clock.advance(seconds=3)
    assert queue.receive() == []
    assert (queue.dead_lettered, queue.is_empty()) == ([first["body"]], True)
