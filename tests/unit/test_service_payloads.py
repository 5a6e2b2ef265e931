"""Large inputs, references and erasing: what is where, in which order, and what is left when AWS fails in between."""

from __future__ import annotations

import json
from typing import Any

import pytest

from inference import transitions
from inference.description import describe
from inference.errors import (
    InvalidInput,
    InvalidReference,
    InvalidUpload,
    KeyReused,
    TooLarge,
    Unavailable,
    UnknownRequest,
)
from inference.references import owner_of
from inference.requests import Message, Status
from inference.store.payloads import (
    MAX_MESSAGE_BYTES,
    REFERABLE_MS,
    FileInfo,
    files_to_json,
    request_key,
)
from tests.unit.api_harness import ME, YOU, Api
from tests.unit.fakes import NOW, Fault
from tests.unit.samples import a_record

LARGE = {"text": "\u20ac" * 43_000}  # 129 KB in UTF-8, 258 KB in ASCII, as which it is sent
FITS = {"text": "\u20ac" * 41_000}


def object_of(api: Api, request_id: str) -> Any:
    (key,) = [key for key in api.bucket.objects if key.startswith(f"requests/{request_id}/input-")]
    return json.loads(api.bucket.objects[key].content)


def test_a_message_fits_in_its_queue() -> None:
    assert MAX_MESSAGE_BYTES < 262_144  # 256 KiB, less what SQS itself may add


class TestALargeInput:
    def test_is_an_object_and_the_message_names_it(self, api: Api) -> None:
        record = api.submit(dict(LARGE))
        (message,) = api.messages()
        assert message.input is None
        assert message.stored_input == record.stored_input is not None
        assert list(api.bucket.objects) == [request_key(record.request_id, str(record.stored_input))]
        assert object_of(api, record.request_id) == LARGE | {"threshold": 0.5}
        assert api.table.record(record.request_id) == record

    def test_one_that_fits_is_in_the_message_and_costs_no_call(self, api: Api) -> None:
        record = api.submit(dict(FITS))
        assert (record.stored_input, api.bucket.calls) == (None, [])
        assert api.messages()[0].input == FITS | {"threshold": 0.5}

    def test_record_then_object_then_message(self, api: Api) -> None:
        order: list[str] = []
        for target in (api.table, api.bucket, api.queue):
            target.before = order.append
        api.submit(dict(LARGE))
        assert order == ["create", "put", "send"]

    @pytest.mark.parametrize("key", [None, "k"])
    @pytest.mark.parametrize("fault", [Fault("put"), Fault("put", done=True)], ids=["rejected", "answer_lost"])
    def test_s3_fails(self, api: Api, key: str | None, fault: Fault) -> None:
        api.bucket.faults = [Fault(fault.operation, fault.done)]
        with pytest.raises(Unavailable):
            api.submit(dict(LARGE), key=key)
        assert (api.table.items, api.messages(), api.bucket.objects) == ({}, [], {})

    def test_the_queue_rejects(self, api: Api) -> None:
        api.queue.faults = [Fault("send")]
        with pytest.raises(Unavailable):
            api.submit(dict(LARGE))
        assert (api.table.items, api.messages(), api.bucket.objects) == ({}, [], {})

    def test_the_object_cannot_be_deleted_and_the_answer_is_the_same(self, api: Api) -> None:
        api.queue.faults, api.bucket.faults = [Fault("send")], [Fault("delete")]
        with pytest.raises(Unavailable, match="send"):
            api.submit(dict(LARGE))
        assert api.table.items == {}
        assert len(api.bucket.objects) == 1  # the lifecycle's

    def test_a_submit_that_failed_does_not_delete_a_later_ones_object(self, api: Api) -> None:
        later: list[Any] = []

        def submit_again(operation: str) -> None:
            if operation == "discard" and not later:
                later.append(api.submit(dict(LARGE), key="k"))

        api.queue.faults = [Fault("send")]
        api.table.after = submit_again
        with pytest.raises(Unavailable):
            api.submit(dict(LARGE), key="k")
        assert object_of(api, later[0].request_id) == LARGE | {"threshold": 0.5}

    def test_another_input_with_the_same_key_overwrites_nothing(self, api: Api) -> None:
        record = api.submit(dict(LARGE), key="k")
        before = dict(api.bucket.objects)
        with pytest.raises(KeyReused):
            api.submit({"text": "x" * 300_000}, key="k")
        assert api.bucket.objects == before
        assert api.submit(dict(LARGE), key="k").request_id == record.request_id
        assert api.bucket.calls == ["put"]

    def test_a_repeat_of_a_submit_that_died_writes_the_object_that_its_record_names(self, api: Api) -> None:
        first = api.submit(dict(LARGE), key="k")
        api.table.items[first.request_id]["submit_id"] = "s"  # it died before the object and the message
        api.bucket.objects.clear()
        api.queue.messages.clear()
        again = api.submit(dict(LARGE), key="k")
        (message,) = api.messages()
        assert message.stored_input == again.stored_input == first.stored_input
        assert object_of(api, first.request_id) == LARGE | {"threshold": 0.5}


class TestReferences:
    def test_the_record_names_the_uploads_and_the_message_their_owner(self, api: Api) -> None:
        image, text = api.upload(b"\x89PNG", "image/png"), api.upload(b'"fine"')
        record = api.submit({"text": text, "image": image})
        ids = [reference["$ref"].removeprefix("/uploads/") for reference in (text, image)]
        assert record.uploads == " ".join(ids)
        (message,) = api.messages()
        assert (message.owner, message.input) == (owner_of(ME), {"text": text, "image": image})

    def test_with_a_reference_to_json_the_worker_validates(self, api: Api) -> None:
        assert api.submit({"text": api.upload(b'"fine"')}).status is Status.PENDING
        assert api.submit(api.upload(b'{"text": "fine"}')).status is Status.PENDING

    def test_with_a_reference_to_anything_else_the_api_validates(self, api: Api) -> None:
        with pytest.raises(InvalidInput):
            api.submit({"image": api.upload(b"\x89PNG", "image/png")})

    def test_another_callers_upload_is_not_there(self, api: Api) -> None:
        theirs = api.upload(b"{}", caller=YOU)
        with pytest.raises(InvalidReference, match="not yours") as theirs_error:
            api.submit(theirs)
        with pytest.raises(InvalidReference) as unknown_error:
            api.submit({"$ref": "/uploads/00000000-0000-4000-8000-000000000000"})
        assert str(theirs_error.value)[:24] == str(unknown_error.value)[:24]
        assert api.table.calls == api.queue.calls == []

    def test_an_upload_can_be_referred_to_for_a_day(self, api: Api) -> None:
        upload = api.upload(b'{"text": "fine"}')
        api.clock.advance(ms=REFERABLE_MS - 1)
        assert api.submit(dict(upload))
        api.clock.advance(ms=1)
        with pytest.raises(InvalidReference, match="24 hours old"):
            api.submit(dict(upload))

    def test_s3_does_not_answer(self, api: Api) -> None:
        upload = api.upload(b"{}")
        api.bucket.faults = [Fault("get")]
        with pytest.raises(Unavailable):
            api.submit(upload)
        assert api.table.calls == []

    def test_the_reference_counts_for_an_idempotency_key(self, api: Api) -> None:
        one, other = api.upload(b'{"text": "fine"}'), api.upload(b'{"text": "fine"}')
        first = api.submit(dict(one), key="k")
        assert api.submit(dict(one), key="k").request_id == first.request_id
        with pytest.raises(KeyReused):
            api.submit(dict(other), key="k")


class TestUploads:
    def test_the_link_has_size_and_type(self, api: Api) -> None:
        upload = api.payloads.new_upload(ME, "image/png", 7, NOW)
        assert upload.link.url == f"upload:uploads/{owner_of(ME)}/{upload.upload_id}"
        assert upload.link.headers == {"content-type": "image/png", "content-length": "7"}
        assert upload.expires_at == NOW + 900_000

    def test_a_whole_number_may_be_written_as_a_decimal_one(self, api: Api) -> None:
        assert api.payloads.new_upload(ME, "image/png", 7.0, NOW).link.headers["content-length"] == "7"

    @pytest.mark.parametrize("size", [0, -1, 1.5, "7", None, True, float("inf")])
    def test_a_wrong_size(self, api: Api, size: Any) -> None:
        with pytest.raises(InvalidUpload, match="bytes"):
            api.payloads.new_upload(ME, "image/png", size, NOW)

    def test_too_large(self, api: Api) -> None:
        assert api.payloads.new_upload(ME, "image/png", 10**9, NOW)
        with pytest.raises(TooLarge, match="1,000,000,001 bytes"):
            api.payloads.new_upload(ME, "image/png", 10**9 + 1, NOW)

    @pytest.mark.parametrize(
        "kind",
        [
            "",
            "image",
            "image/",
            "/png",
            "Image/png",
            "text/html; charset=x",
            "a/b\r\nx: y",
            "a/b/c",
            None,
            3,
            "a/" + "b" * 130,
        ],
    )
    def test_a_wrong_type(self, api: Api, kind: Any) -> None:
        with pytest.raises(InvalidUpload, match="content_type"):
            api.payloads.new_upload(ME, kind, 7, NOW)


class TestErasing:
    def _with_everything(self, api: Api) -> str:
        """A request with a large input, an upload, files of its result and those of an attempt that was killed."""
        record = api.submit({**LARGE, "image": api.upload(b"png", "image/png")})
        for name in ("attempt-1/0", "attempt-2/0", "attempt-2/1"):
            api.bucket.put(request_key(record.request_id, name), b"out", "image/png")
        return record.request_id

    def test_every_copy(self, api: Api) -> None:
        other = api.submit(dict(LARGE))
        request_id = self._with_everything(api)
        api.erase(request_id)
        assert list(api.table.items) == [other.request_id]
        assert [key.split("/")[1] for key in api.bucket.objects] == [other.request_id]
        with pytest.raises(UnknownRequest):
            api.erase(request_id)

    def test_cancelled_then_objects_then_the_record(self, api: Api) -> None:
        request_id = self._with_everything(api)
        order: list[str] = []
        for target in (api.table, api.bucket):
            target.before = order.append
        api.erase(request_id)
        assert list(dict.fromkeys(order)) == ["get", "apply", "delete", "keys", "erase"]

    def test_no_outcome_is_written_after_the_objects_are_deleted(self, api: Api) -> None:
        request_id = self._with_everything(api)
        api.claim(api.table.record(request_id))
        api.bucket.faults = [Fault("delete")]
        with pytest.raises(Unavailable):
            api.erase(request_id)
        assert api.table.record(request_id).status is Status.CANCELLED

    @pytest.mark.parametrize("operation", ["apply", "delete", "keys", "erase"])
    @pytest.mark.parametrize("done", [True, False])
    def test_it_fails_at_any_step_and_is_repeated(self, api: Api, operation: str, done: bool) -> None:
        request_id = self._with_everything(api)
        (api.table if operation in ("apply", "erase") else api.bucket).faults = [Fault(operation, done)]
        with pytest.raises(Unavailable):
            api.erase(request_id)
        try:
            api.erase(request_id)
        except UnknownRequest:
            assert (operation, done) == ("erase", True)
        assert api.table.items == api.bucket.objects == {}

    def test_one_past_its_deadline_that_no_sweep_has_ended(self, api: Api) -> None:
        record = api.submit()
        api.clock.now = record.expires_at + 1
        api.erase(record.request_id)
        assert api.table.items == {}

    def test_another_callers_is_unknown(self, api: Api) -> None:
        request_id = self._with_everything(api)
        with pytest.raises(UnknownRequest):
            api.erase(request_id, caller=YOU)
        assert request_id in api.table.items

    def test_one_that_is_replayed_meanwhile_stays(self, api: Api) -> None:
        record = api.submit()
        failed = a_record(record.request_id, caller=ME, status=Status.FAILED, finished_at=NOW, input="{}", attempts=1)
        api.table.put(failed)

        def replay(operation: str) -> None:
            if operation == "keys":
                api.table.apply([transitions.replay(failed, NOW, expires_at=NOW + 9, delete_at=NOW, attempts=1)])

        api.bucket.after = replay
        with pytest.raises(Unavailable):
            api.erase(record.request_id)
        assert api.table.record(record.request_id).status is Status.PENDING


def test_a_results_files_have_links() -> None:
    api = Api()
    files = files_to_json([FileInfo("attempt-1/0", 3, "ab", "image/png")])
    record = a_record("a1", status=Status.SUCCEEDED, result='{"image": {"$ref": "#/files/0"}}', files=files)
    shown = describe(record, NOW, api.payloads.links(record, NOW))
    assert shown["result"] == {"image": {"$ref": "#/files/0"}}
    assert shown["files"] == [
        {
            "url": "download:requests/a1/attempt-1/0",
            "expires_at": "2027-01-15T08:15:00.000Z",
            "bytes": 3,
            "sha256": "ab",
            "content_type": "image/png",
        }
    ]


@pytest.mark.parametrize("field", ["stored_input", "owner"])
def test_a_message_with_a_wrong_optional_field_is_unreadable(api: Api, field: str) -> None:
    api.submit()
    body = json.loads(api.messages()[0].to_body())
    assert field not in body
    with pytest.raises(ValueError, match=field):
        Message.from_body(json.dumps(body | {field: 5}))
