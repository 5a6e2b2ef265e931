"""The request table's adapter on the emulator, many updates in one PartiQL call."""

import pytest

from tests.integration.table_subject import table_subject
from tests.unit.table_contract import Subject, TableContract


@pytest.fixture(scope="module")
def subject(on_emulator: None) -> Subject:
    return table_subject(statements=25)


class TestTable(TableContract):
    """All of the contract."""
