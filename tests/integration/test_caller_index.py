"""The index of callers on moto: as the fake of the unit tests has it, page by page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from inference.aws import clients
from inference.errors import Unavailable
from inference.requests import Record
from inference.store.caller_index import CallerIndex, Position
from tests.integration.aws_faults import ALWAYS, KINDS, AwsFault, injected
from tests.integration.table_subject import table_subject
from tests.unit.fake_table import FakeTable
from tests.unit.fakes import NOW
from tests.unit.samples import a_record

TABLE = "listed-requests"
LONGEST = "sha256:" + "f" * 64
RECORDS: list[Record] = [
    a_record(f"{number % 16:x}-{number}", caller=caller, model=model, submitted_at=NOW + number // 2)
    for number, (caller, model) in enumerate(
        [("iam:me", "echo"), ("iam:me", "other"), ("iam:you", "echo"), ("iam:ü\U0001f600", "echo"), (LONGEST, "echo")]
        * 7
    )
]


@pytest.fixture(scope="module")
def table(on_moto: None) -> Iterator[FakeTable]:
    """The fake, with the same records as the table on moto."""
    subject = table_subject(1, TABLE)
    subject.put(*RECORDS)
    fake = FakeTable()
    for record in RECORDS:
        fake.put(record)
    yield fake
    clients.client("dynamodb").delete_table(TableName=TABLE)


@pytest.fixture
def index(table: FakeTable) -> CallerIndex:
    return CallerIndex(clients.client("dynamodb"), TABLE)


@pytest.mark.parametrize("most", [1, 3, 7, 100])
@pytest.mark.parametrize("model", [None, "echo", "gone"])
@pytest.mark.parametrize("caller", ["iam:me", "iam:ü\U0001f600", LONGEST, "iam:nobody"])
def test_the_same_pages_as_the_fake(
    table: FakeTable, index: CallerIndex, caller: str, model: str | None, most: int
) -> None:
    after: Position | None = None
    seen: list[Position] = []
    while True:
        found, end = index.page(caller, after, most, model)
        expected, expected_end = table.caller_index.page(caller, after, most, model)
        assert set(found) == set(expected)
        seen += found
        if end is None:
            break
        assert end == expected_end
        after = end
    assert len(seen) == sum(record.caller == caller and model in (None, record.model) for record in RECORDS)
    assert [position.submitted_at for position in seen] == sorted((p.submitted_at for p in seen), reverse=True)


@pytest.mark.parametrize("kind", KINDS)
def test_errors_are_unavailable(index: CallerIndex, kind: str) -> None:
    fault = AwsFault("Query", kind, times=ALWAYS)
    with injected(fault), pytest.raises(Unavailable, match="index of callers"):
        index.page("iam:me", None, 5)
