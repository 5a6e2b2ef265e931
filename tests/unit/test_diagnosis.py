"""Why a message went to the dead-letter queue, from the request's record and from Lambda's log lines."""

import json

import pytest

from inference.diagnosis import OWN_LINE, diagnose
from inference.requests import ErrorCode, Failure, Record, Status
from inference.telemetry import Telemetry
from tests.unit.fakes import NOW
from tests.unit.samples import a_record

ID = "8f507cfc-7f6a-4f1f-9d0e-3d2f8c3f1a11"
GROUP = "/aws/lambda/inference-local-worker-sentiment"

START = f"START RequestId: {ID} Version: 7\n"
END = f"END RequestId: {ID}\n"
TIMED_OUT = [
    START,
    f"2027-01-15T08:00:30.104Z {ID} Task timed out after 30.03 seconds\n\n",
    END,
    f"REPORT RequestId: {ID}\tDuration: 30030.11 ms\tBilled Duration: 30000 ms\tMemory Size: 1769 MB\t"
    "Max Memory Used: 412 MB\tStatus: timeout\n",
]
KILLED_FULL = [
    START,
    f"RequestId: {ID} Error: Runtime exited with error: signal: killed\nRuntime.ExitError\n",
    END,
    f"REPORT RequestId: {ID}\tDuration: 2103.55 ms\tBilled Duration: 2104 ms\tMemory Size: 128 MB\t"
    "Max Memory Used: 128 MB\tStatus: error\tError Type: Runtime.ExitError\n",
]
OUT_OF_MEMORY = [
    START,
    f"REPORT RequestId: {ID}\tDuration: 812.02 ms\tBilled Duration: 813 ms\tMemory Size: 256 MB\t"
    "Max Memory Used: 256 MB\tStatus: error\tError Type: Runtime.OutOfMemory\n",
]
MEMORY_ERROR = [START, f"[ERROR] MemoryError\nTraceback (most recent call last): RequestId: {ID}\n", END]
KILLED_NOT_FULL = [
    START,
    f"RequestId: {ID} Error: Runtime exited with error: signal: killed\nRuntime.ExitError\n",
    f"REPORT RequestId: {ID}\tDuration: 9.1 ms\tBilled Duration: 10 ms\tMemory Size: 1769 MB\tMax Memory Used: 91 MB\n",
]
SEGFAULT = [
    START,
    f"RequestId: {ID} Error: Runtime exited with error: signal: segmentation fault\nRuntime.ExitError\n",
    f"REPORT RequestId: {ID}\tDuration: 9.1 ms\tBilled Duration: 10 ms\tMemory Size: 128 MB\tMax Memory Used: 128 MB\n",
]


EXITED = [START, f"RequestId: {ID} Error: Runtime exited with error: exit status 3\nRuntime.ExitError\n", END]


def a_dead_lettered_record(**changes: object) -> Record:
    known = {"status": Status.RUNNING, "attempts": 2, "invocation_id": ID, "started_at": NOW + 7}
    return a_record(**known | changes)


def diagnosis(record: Record, lines: list[str] | None = None) -> Failure:
    asked: list[tuple[str, str, int]] = []

    def read_lines(group: str, text: str, since: int) -> list[str]:
        asked.append((group, text, since))
        return lines or []

    failure = diagnose(record, GROUP, read_lines)
    assert asked in ([], [(GROUP, ID, NOW + 7)])
    return failure


@pytest.mark.parametrize(
    ("lines", "code", "advice"),
    [
        (TIMED_OUT, ErrorCode.TIMEOUT, "timeout_seconds"),
        (TIMED_OUT[1:2], ErrorCode.TIMEOUT, "timeout_seconds"),
        (TIMED_OUT[3:], ErrorCode.TIMEOUT, "timeout_seconds"),
        (KILLED_FULL, ErrorCode.OUT_OF_MEMORY, "128 of 128 MB used"),
        (OUT_OF_MEMORY, ErrorCode.OUT_OF_MEMORY, "raise memory_mb"),
        (MEMORY_ERROR, ErrorCode.OUT_OF_MEMORY, "raise memory_mb"),
        (KILLED_NOT_FULL, ErrorCode.CRASHED, "killed"),
        (SEGFAULT, ErrorCode.CRASHED, "crashed in native code (segmentation fault); check the libraries"),
        (EXITED, ErrorCode.CRASHED, "exited with status 3 (os._exit, by the model or a library); raise an exception"),
        (
            [START],
            ErrorCode.CRASHED,
            "exited without an error message (killed, or a crash in native code) in attempt 2",
        ),
        ([], ErrorCode.CRASHED, "exited without an error message"),
    ],
    ids=[
        "timeout",
        "timeout_line",
        "timeout_report",
        "oom_kill",
        "oom",
        "memory",
        "kill",
        "segv",
        "exit",
        "start",
        "none",
    ],
)
def test_what_the_log_tells(lines: list[str], code: ErrorCode, advice: str) -> None:
    failure = diagnosis(a_dead_lettered_record(), lines)
    assert (failure.code, failure.attempt) == (code, 2)
    assert advice in failure.message
    assert "attempt 2 of 5" in failure.message
    assert GROUP in failure.message
    assert ID in failure.message


def test_what_we_logged_of_a_neighbour_is_no_evidence() -> None:
    line = json.dumps({"level": "ERROR", "event": "prediction_failed", "error": "MemoryError: ", "invocation_id": ID})
    assert diagnosis(a_dead_lettered_record(), [START, line, "Runtime.ExitError"]).code is ErrorCode.CRASHED


def test_our_own_lines_are_known_by_their_beginning(capsys: pytest.CaptureFixture[str]) -> None:
    Telemetry("worker").error("prediction_failed", MemoryError())
    assert capsys.readouterr().out.startswith(OWN_LINE)


def test_what_the_last_attempt_told_itself_comes_first() -> None:
    told = Failure(ErrorCode.MODEL_ERROR, "ValueError: bad", 2)
    failure = diagnosis(a_dead_lettered_record(status=Status.PENDING, error=told.to_json()), TIMED_OUT)
    assert failure == told


def test_what_an_earlier_attempt_told_does_not_count() -> None:
    told = Failure(ErrorCode.MODEL_ERROR, "ValueError: bad", 1)
    assert diagnosis(a_dead_lettered_record(error=told.to_json()), TIMED_OUT).code is ErrorCode.TIMEOUT


def test_a_request_that_no_worker_took() -> None:
    failure = diagnosis(a_dead_lettered_record(status=Status.PENDING, attempts=0, invocation_id=None))
    assert (failure.code, failure.attempt) == (ErrorCode.UNDELIVERED, None)
    assert GROUP in failure.message


def test_a_record_without_an_invocation_is_a_crash() -> None:
    assert diagnosis(a_dead_lettered_record(invocation_id=None), TIMED_OUT).code is ErrorCode.CRASHED
