"""The request table's adapter as the subject of its contract."""

from typing import Any

from inference.aws import clients
from inference.requests import Record
from inference.store.request_table import RequestTable, _to_new_item
from tests.integration.terraform_definition import create_table
from tests.unit.table_contract import Subject

NAME = "contract-requests"


class WithoutItems:
    """A DynamoDB client whose batches bring no record with a rejected statement."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.stripped = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def batch_execute_statement(self, **arguments: Any) -> Any:
        answer = self._client.batch_execute_statement(**arguments)
        for response in answer["Responses"]:
            self.stripped += response.get("Error", {}).pop("Item", None) is not None
        return answer


def table_subject(statements: int, name: str = NAME, strip: bool = False) -> Subject:
    """A new table and its adapter, with so many statements in one BatchExecuteStatement (1: none)."""
    client = clients.client("dynamodb")
    create_table(client, name)

    def put(*records: Record) -> None:
        items = []
        for record in records:
            items.append({"PutRequest": {"Item": _to_new_item(record)}})
        for start in range(0, len(items), 25):
            answer = client.batch_write_item(RequestItems={name: items[start : start + 25]})
            assert not answer["UnprocessedItems"]

    return Subject(RequestTable(WithoutItems(client) if strip else client, name, batch=statements), put)
