"""The request table's adapter on moto, one update a call."""

import pytest

from tests.integration.table_subject import table_subject
from tests.unit.table_contract import Subject, TableContract


@pytest.fixture(scope="module")
def subject(on_moto: None) -> Subject:
    return table_subject(statements=1)


class TestTable(TableContract):
    """All of the contract."""
