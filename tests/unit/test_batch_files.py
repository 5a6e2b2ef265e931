"""Batches from uploaded files: what is accepted, how lines are checked, how items are created and cancelled."""

from __future__ import annotations

import json
from typing import Any

import pytest

from inference.batches.creation import GONE, MAX_ERRORS, MAX_RUNS
from inference.batches.description import describe_batch, poll_batch_after
from inference.batches.record import DEADLINE_PASSED
from inference.errors import AlreadyFinal, InvalidReference, KeyReused, Unavailable
from inference.references import owner_of, reference_to
from inference.requests import Message, Record, Status, message_group, new_request_id
from inference.store.batch_queue import batch_id_of, to_body
from inference.store.payloads import JSON, JSON_LINES, upload_key
from tests.unit.api_harness import ME, YOU
from tests.unit.batch_file_harness import LIMITS, BatchFiles
from tests.unit.fake_queue import sqs_record
from tests.unit.fakes import NOW, Fault
from tests.unit.samples import DEADLINE


@pytest.fixture
def files() -> BatchFiles:
    return BatchFiles()


def described(files: BatchFiles, batch: Any, start: int = 0, limit: int = 0) -> Any:
    shown = files.show(batch, start, limit)
    body, after = describe_batch(shown, files.clock(), files.payloads.links)
    return {**body, "after": after, "poll": poll_batch_after(shown, files.clock())}


def items_of(files: BatchFiles, batch: Any) -> list[Record]:
    total = files.show(batch).batch.total
    return [files.table.record(batch.item_id(index)) for index in range(total)]


class TestSubmit:
    @pytest.mark.parametrize("content_type", JSON_LINES)
    def test_the_answer_comes_before_the_file_is_read(self, files: BatchFiles, content_type: str) -> None:
        batch = files.submit(files.upload(b'{"text": "a"}\n', content_type))
        assert (files.batch_table.calls, files.batch_queue.calls) == (["create_batch"], ["send_batch"])
        assert files.bucket.calls == ["put", "get"]
        shown = described(files, batch, 0, 100)
        assert (shown["status"], shown["total"], shown["items"], shown["after"]) == ("checking", None, [], None)
        assert shown["poll"] == 1

    def test_what_is_no_file_of_lines(self, files: BatchFiles) -> None:
        with pytest.raises(InvalidReference, match=r"is 'application/json'; .* application/jsonl"):
            files.submit(files.upload(b"{}", JSON))
        with pytest.raises(InvalidReference, match="There is no upload"):
            files.submit(new_request_id())
        with pytest.raises(InvalidReference, match="There is no upload"):
            files.submit(files.upload(b"{}", caller=YOU))
        assert (files.batch_table.items, files.batch_queue.messages) == ({}, {})

    def test_a_queue_that_fails_leaves_no_batch(self, files: BatchFiles) -> None:
        files.batch_queue.faults = [Fault("send_batch")]
        with pytest.raises(Unavailable):
            files.submit_texts("a")
        assert files.batch_table.items == {}

    def test_a_message_that_sqs_took_without_an_answer(self, files: BatchFiles) -> None:
        files.batch_queue.faults = [Fault("send_batch", done=True)]
        files.batch_queue.after = lambda _: files.create()
        batch = files.submit_texts("a")
        assert files.counts(batch) == {"pending": 1}

    def test_a_key_used_again(self, files: BatchFiles) -> None:
        upload_id = files.upload_lines({"text": "a"})
        batch = files.submit(upload_id, "k")
        assert files.submit(upload_id, "k").batch_id == batch.batch_id
        files.create_all()
        assert files.submit(upload_id, "k").batch_id == batch.batch_id  # although the file is deleted
        with pytest.raises(KeyReused):
            files.submit(files.upload_lines({"text": "a"}), "k")
        assert len(files.batch_queue.calls) == 1

    def test_a_key_whose_message_was_not_confirmed_sends_another(self, files: BatchFiles) -> None:
        upload_id = files.upload_lines({"text": "a"})
        files.batch_queue.faults = [Fault("send_batch", done=True)]
        files.batch_table.faults = [Fault("discard_batch")]
        with pytest.raises(Unavailable):
            files.submit(upload_id, "k")
        batch = files.submit(upload_id, "k")
        files.create_all()
        assert files.counts(batch) == {"pending": 1}
        assert len(files.worker.queue.messages) == 1


class TestTheCheck:
    def test_items_are_created_from_valid_lines(self, files: BatchFiles) -> None:
        content = b'\n{"text": "a"}\r\n  \n{"text": "b", "threshold": 1}'
        batch = files.submit(files.upload(content))
        files.create_all()
        records = items_of(files, batch)
        messages = [Message.from_body(held.body) for held in files.worker.queue.messages.values()]
        assert [message.input for message in messages] == [
            {"text": "a", "threshold": 0.5},
            {"text": "b", "threshold": 1},
        ]
        assert [message.request_id for message in messages] == [record.request_id for record in records]
        for record in records:
            assert (record.status, record.model, record.caller) == (Status.PENDING, "echo", ME)
            assert (record.submitted_at, record.expires_at) == (NOW, NOW + DEADLINE * 1000)
            assert (record.batch_id, record.attempt_limit) == (batch.batch_id, 5)
        assert set(files.worker.queue.groups) == {message_group("echo", ME)}
        files.worker.run()
        assert described(files, batch)["status"] == "finished"

    def test_one_line_that_is_not_valid_and_nothing_runs(self, files: BatchFiles) -> None:
        wrong = new_request_id()
        lines = [b'{"text": "a"}'] * 150
        lines[3], lines[5] = b"", b"{"
        lines[120], lines[130] = b'{"text": ""}', json.dumps({"text": reference_to(wrong)}).encode()
        batch = files.submit(files.upload(b"\n".join(lines)))
        files.create_all()
        shown = described(files, batch)
        assert (shown["status"], shown["total"], shown["error_count"], shown["poll"]) == ("rejected", None, 3, None)
        assert [(error["index"], error["line"]) for error in shown["errors"]] == [(4, 6), (119, 121), (129, 131)]
        assert ["not JSON" in error["detail"] for error in shown["errors"]] == [True, False, False]
        assert shown["reason"] == "3 of the lines are not valid: no item was created."
        assert sum(shown["counts"].values()) == shown["counted"] == 0
        assert shown["finished_at"] is not None
        assert (files.table.items, files.worker.queue.messages) == ({}, {})

    def test_all_errors_are_counted_and_the_first_told(self, files: BatchFiles) -> None:
        batch = files.submit(files.upload(b"7\n" * 300))
        files.create_all()
        shown = described(files, batch)
        assert (shown["error_count"], len(shown["errors"])) == (300, MAX_ERRORS)

    @pytest.mark.parametrize("extra", [b"\n", b'{"text": "a"}\n'])
    def test_too_many_lines(self, files: BatchFiles, extra: bytes) -> None:
        batch = files.submit(files.upload(b'{"text": "a"}\n' * LIMITS.max_lines + extra * 500))
        files.create_all()
        shown = described(files, batch)
        assert (shown["status"], shown["error_count"]) == ("rejected", 1)
        assert shown["errors"][0]["line"] == LIMITS.max_lines + 1
        assert "At most 1,000 lines" in shown["errors"][0]["detail"]
        assert "were not checked" in shown["reason"]

    def test_as_many_lines_as_are_accepted(self, files: BatchFiles) -> None:
        batch = files.submit(files.upload(b'{"text": "a"}\n' * LIMITS.max_lines))
        files.create_all()
        assert files.counts(batch) == {"pending": LIMITS.max_lines}

    def test_a_line_that_is_too_long(self, files: BatchFiles) -> None:
        batch = files.submit_texts("a", "b" * LIMITS.max_line_bytes, "c")
        files.create_all()
        shown = described(files, batch)
        assert (shown["status"], shown["errors"][0]["line"]) == ("rejected", 2)
        assert "1,000,000 bytes" in shown["errors"][0]["detail"]

    def test_a_file_without_a_line(self, files: BatchFiles) -> None:
        batch = files.submit(files.upload(b" \n\n"))
        files.create_all()
        assert "no line that is not blank" in described(files, batch)["errors"][0]["detail"]

    def test_uploads_that_lines_refer_to_may_become_old_meanwhile(self, files: BatchFiles) -> None:
        image = files.upload(b"x", "image/png")
        files.clock.advance(seconds=80_000)
        batch = files.submit(files.upload_lines({"text": "a", "image": reference_to(image)}))
        files.clock.advance(seconds=6_000)
        files.steps = 1
        files.create()
        files.clock.advance(seconds=400)
        files.create_all()
        assert items_of(files, batch)[0].uploads == image


class TestCreation:
    def test_it_goes_on_in_the_next_invocation_and_computes_each_line_once(self, files: BatchFiles) -> None:
        files.steps = 1
        texts = [f"{number:03d}" for number in range(250)]
        batch = files.submit_texts(*texts)
        stages = []
        while files.batch_queue.messages:
            files.create()
            shown = described(files, batch)
            stages.append(shown["status"])
            assert sum(shown["counts"].values()) == shown["counted"] == (shown["total"] or 0)
        assert stages == ["checking"] * 2 + ["creating"] * 3 + ["running"]
        assert len(files.log.events("batch_continues")) == 5
        files.work()
        assert files.counts(batch) == {"succeeded": 250}
        assert files.computed() == texts

    def test_items_are_shown_while_others_are_created(self, files: BatchFiles) -> None:
        files.steps = 4
        batch = files.submit_texts(*map(str, range(250)))
        files.create()
        shown = described(files, batch, 0, 100)
        assert (shown["status"], shown["counts"]["pending"], shown["counts"]["not_created"]) == ("creating", 100, 150)
        assert (len(shown["items"]), shown["after"]) == (100, None)

    def test_the_file_is_deleted_when_the_items_are_there(self, files: BatchFiles) -> None:
        upload_id = files.upload_lines({"text": "a"})
        batch = files.submit(upload_id)
        key = upload_key(owner_of(ME), upload_id)
        files.bucket.faults = [Fault("delete")]
        files.create()
        assert key in files.bucket.objects
        files.clock.advance(seconds=31)
        files.create()
        assert key not in files.bucket.objects
        assert (files.batch_queue.messages, files.counts(batch)) == ({}, {"pending": 1})

    @pytest.mark.parametrize("created", [0, 100])
    def test_a_file_that_is_erased(self, files: BatchFiles, created: int) -> None:
        files.limits = LIMITS._replace(max_line_bytes=100)
        upload_id = files.upload_lines(*({"text": str(number)} for number in range(150)))
        batch = files.submit(upload_id)
        files.steps = 1 + 2 * bool(created)
        files.create()
        files.bucket.delete(upload_key(owner_of(ME), upload_id))
        files.create_all()
        shown = described(files, batch)
        assert (shown["status"], shown["reason"]) == ("running" if created else "failed", GONE)
        assert shown["counts"]["not_created"] == (50 if created else 0)
        files.work()
        shown = described(files, batch)
        assert (shown["status"], shown["counts"]["succeeded"], shown["poll"]) == ("failed", created, None)

    def test_a_deadline_that_passes_before_anything_was_done(self, files: BatchFiles) -> None:
        batch = files.submit_texts("a")
        files.clock.advance(seconds=DEADLINE)
        shown = described(files, batch)
        assert (shown["status"], shown["reason"]) == ("failed", DEADLINE_PASSED)
        files.create_all()
        assert described(files, batch)["reason"] == DEADLINE_PASSED
        assert files.table.items == {}

    def test_aws_that_fails_for_a_while(self, files: BatchFiles) -> None:
        batch = files.submit_texts(*map(str, range(120)))
        files.table.faults = [Fault("create_many", times=9)]
        files.worker.queue.faults = [Fault("send_many", times=2)]
        for _ in range(12):
            files.create()
            files.clock.advance(seconds=31)
        assert files.counts(batch) == {"pending": 120}
        files.work()
        assert files.computed() == sorted(map(str, range(120)))

    def test_an_invocation_waits_for_the_end_of_anothers_lease(self, files: BatchFiles) -> None:
        batch = files.submit_texts("a")
        item = files.batch_table.items[batch.batch_id]
        item |= {"lease_id": "other", "lease_until": NOW + 60_000}
        files.create()
        assert files.worker.queue.messages == {}
        assert [held.visible_at for held in files.batch_queue.messages.values()] == [NOW + 61_000]
        files.clock.advance(seconds=61)
        files.create()
        assert files.counts(batch) == {"pending": 1}

    def test_a_message_that_comes_late_changes_nothing(self, files: BatchFiles) -> None:
        batch = files.submit_texts("a")
        files.create_all()
        files.work()
        for body in (to_body(batch.batch_id), to_body("unknown"), "{}", "x"):
            files.batch_queue.put(body)
        before = dict(files.table.items)
        files.create_all()
        assert files.table.items == before
        assert files.counts(batch) == {"succeeded": 1}


class TestDeadLetters:
    def test_a_batch_whose_creation_kills_each_invocation_fails_with_a_reason(self, files: BatchFiles) -> None:
        batch = files.submit_texts("a")
        files.batch_table.items[batch.batch_id]["runs"] = MAX_RUNS
        files.create_all()
        shown = described(files, batch)
        assert shown["status"] == "failed"
        assert "5 invocations in a row were stopped in one step, after line 0" in shown["reason"]

    def test_one_in_the_dead_letter_queue(self, files: BatchFiles) -> None:
        batch = files.submit_texts("a")
        record = sqs_record("m1", to_body(batch.batch_id))
        files.batch_table.items[batch.batch_id] |= {"lease_id": "i", "lease_until": NOW + 1}
        assert files.dead_letter_handler.handle([record], files.clock) == ["m1"]
        files.clock.advance(seconds=1)
        assert files.dead_letter_handler.handle([record], files.clock) == []
        shown = described(files, batch)
        assert (shown["status"], shown["finished_at"] is None) == ("failed", False)
        assert "could not work on the file" in shown["reason"]
        assert files.dead_letter_handler.handle([record], files.clock) == []
        files.batch_table.faults = [Fault("get_batch")]
        assert files.dead_letter_handler.handle([record], files.clock) == ["m1"]

    @pytest.mark.parametrize("body", ["x", "[]", "7", '{"batch_id": 1}', '{"batch_id": "a/b"}', '{"request_id": "a"}'])
    def test_what_is_no_message_about_a_batch(self, body: str) -> None:
        assert batch_id_of(body) is None


class TestCancel:
    def cancel(self, files: BatchFiles, batch: Any) -> None:
        files.batches.cancel(batch.batch_id, ME, files.clock())

    @pytest.mark.parametrize("steps", range(8))
    def test_a_cancel_at_any_time_stops_the_creation(self, files: BatchFiles, steps: int) -> None:
        files.steps = steps
        batch = files.submit_texts(*map(str, range(250)))
        files.create()
        self.cancel(files, batch)
        files.steps = 10**9
        files.work()
        shown = described(files, batch)
        created = min(max(steps - 3, 0) * 100, 250)
        assert shown["status"] == "finished"
        assert (shown["counts"]["cancelled"], files.computed()) == (created, [])
        assert shown["counts"]["not_created"] == (0 if steps < 3 else 250 - created)
        assert shown["cancelled_at"] is not None
        self.cancel(files, batch)  # changes nothing

    def test_running_items_are_cancelled_and_final_ones_stay(self, files: BatchFiles) -> None:
        batch = files.submit_texts(*map(str, range(150)))
        files.create_all()
        files.worker.run()
        self.cancel(files, batch)
        assert described(files, batch)["status"] == "running"
        files.work()
        assert files.counts(batch) == {"succeeded": 10, "cancelled": 140}

    def test_one_that_has_ended(self, files: BatchFiles) -> None:
        batch = files.submit(files.upload(b"7\n"))
        files.create_all()
        with pytest.raises(AlreadyFinal) as raised:
            self.cancel(files, batch)
        assert raised.value.facts["batch_status"] == "rejected"
