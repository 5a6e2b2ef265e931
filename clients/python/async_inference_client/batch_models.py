"""What the API answers about batches, as typed values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from async_inference_client._members import number_of, time_of
from async_inference_client.models import Request


@dataclass(frozen=True, slots=True)
class BatchStatus:
    """A batch as the API described it at one moment. Times are in UTC; None if not known yet.

    Attributes:
        batch_id: its id.
        status: `checking` or `creating` (the lines of a file), `running`, or a final one: `finished` (all items are
            final), `rejected` (lines are not valid, and nothing ran) or `failed` (not all items could be created).
        model: the name of its model.
        total: how many items it has; 0 while the lines of a file are checked.
        counts: items by status; of the answer to a submit, none.
        counted: how many items are in `counts`; of a batch of more than 2,000 maybe not all.
        reason: why items of a file were not created.
        error_count: how many lines of a file are not valid; `errors` has the first ones: index, line and detail.
        submitted_at: when it was accepted.
        cancelled_at: when it was cancelled.
        finished_at: when its last item became final.
        retry_after: seconds until the next poll that the API asks for; None if it names none.
        document: the whole JSON document.
    """

    batch_id: str
    status: str
    model: str
    total: int
    counts: Mapping[str, int]
    submitted_at: datetime | None
    cancelled_at: datetime | None
    finished_at: datetime | None
    counted: int = 0
    reason: str | None = None
    error_count: int = 0
    errors: Sequence[Mapping[str, Any]] = ()
    retry_after: float | None = None
    document: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def from_document(cls, document: Mapping[str, Any], retry_after: float | None = None) -> Self:
        """Read a batch's document.

        Raises:
            ValueError: it is none; the text names the member.
        """
        for name in ("batch_id", "status"):
            if not isinstance(document.get(name), str):
                raise ValueError(f"the batch has no {name}")
        return cls(
            batch_id=document["batch_id"],
            status=document["status"],
            model=str(document.get("model") or ""),
            total=number_of(document.get("total")) or 0,
            counts=dict(document.get("counts") or {}),
            submitted_at=time_of(document, "submitted_at"),
            cancelled_at=time_of(document, "cancelled_at"),
            finished_at=time_of(document, "finished_at"),
            counted=number_of(document.get("counted")) or 0,
            reason=document.get("reason"),
            error_count=number_of(document.get("error_count")) or 0,
            errors=tuple(document.get("errors") or ()),
            retry_after=retry_after,
            document=document,
        )

    @property
    def finished(self) -> bool:
        """Whether its status is final: all items that it has are."""
        return self.status in ("finished", "rejected", "failed")


@dataclass(frozen=True, slots=True)
class BatchItem:
    """An item of a batch: its place, from 0, and its request as the batch shows it, without times."""

    index: int
    request: Request

    @classmethod
    def from_document(cls, document: Any) -> Self:
        """Read an item of a batch's document.

        Raises:
            ValueError: it is none; the text names the member.
        """
        index = number_of(document.get("index")) if isinstance(document, Mapping) else None
        if index is None:
            raise ValueError("an item of the batch has no index")
        return cls(index, Request.from_document(document))

    def unwrap(self) -> Any:
        """The result; else raises as `Request.unwrap`."""
        return self.request.unwrap()
