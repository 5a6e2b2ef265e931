"""The request table's adapter as the subject of its contract."""

from inference import aws
from inference.request_table import RequestTable, _to_item
from inference.requests import OPEN, Record
from tests.integration.terraform_definition import create_table
from tests.unit.table_contract import Subject

NAME = "contract-requests"


def table_subject(statements: int) -> Subject:
    """A new table and its adapter, with so many statements in one BatchExecuteStatement (1: none)."""
    client = aws.client("dynamodb")
    create_table(client, NAME)

    def put(*records: Record) -> None:
        items = []
        for record in records:
            item = _to_item(record)
            if record.status in OPEN:
                item["open_shard"] = {"S": record.request_id[0]}
            items.append({"PutRequest": {"Item": item}})
        for start in range(0, len(items), 25):
            answer = client.batch_write_item(RequestItems={NAME: items[start : start + 25]})
            assert not answer["UnprocessedItems"]

    return Subject(RequestTable(client, NAME, batch=statements), put)
