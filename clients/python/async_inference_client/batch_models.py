"""What the API answers about batches, as typed values."""

from collections.abc import Mapping
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
        status: `running`, or `finished` when all items are final.
        model: the name of its model.
        total: how many items it has.
        counts: items by status; of the answer to a submit, none.
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
            retry_after=retry_after,
            document=document,
        )

    @property
    def finished(self) -> bool:
        """Whether all items are final."""
        return self.status == "finished"


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
