"""The request table's adapter on the emulator, many updates in one PartiQL call.

Twice: with the record of each rejected statement, and without, since AWS may return none.
"""

from collections.abc import Iterator

import pytest

from tests.integration.table_subject import table_subject
from tests.unit.table_contract import Subject, TableContract


@pytest.fixture(scope="module", params=["item", "no-item"])
def subject(on_emulator: None, request: pytest.FixtureRequest) -> Subject:
    return table_subject(25, f"contract-{request.param}", strip=request.param == "no-item")


@pytest.fixture(scope="module", autouse=True)
def items_were_stripped(subject: Subject) -> Iterator[None]:
    """The second round proves nothing unless there were items to strip."""
    yield
    stripped = getattr(subject.table._client, "stripped", None)
    assert stripped is None or stripped > 0


class TestTable(TableContract):
    """All of the contract."""
