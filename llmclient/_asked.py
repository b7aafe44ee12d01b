"""A call as a fallback sees it, and what one may answer: plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from llmclient import _prompt
from llmclient._errors import Category

if TYPE_CHECKING:
    from llmclient._call import Source


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked, for whom, and why Claude does not answer it. Only to be looked at: it is the call's own data."""

    body: Mapping[str, Any]
    """The request as JSON: model, system, messages …"""
    labels: Mapping[str, Any] = field(default_factory=dict)
    """feature, prompt_type, prompt_version, user_id, session_id, tags; what is not set is not there."""
    category: Category | None = None
    """None before Claude is asked."""
    variant: str = ""
    """Endpoint and betas, where they are not the ordinary ones: they change what an answer looks like."""
    call_id: UUID | None = None
    memo: dict[object, Any] = field(default_factory=dict, repr=False, compare=False)
    """What was worked out about it, to be worked out once."""

    @property
    def text(self) -> str:
        """The last text of the user; "" when there is none."""
        taken = _prompt.question(self.body)
        return "" if taken is None else taken[0]

    @property
    def model(self) -> str:
        return str(self.body.get("model"))


@dataclass(frozen=True, slots=True)
class Answered:
    """Either a message to give to the caller, or another request to send instead."""

    source: "Source"
    body: Mapping[str, Any] | None = None
    """The message."""
    next_body: Mapping[str, Any] | None = None
    """The request to another model."""
    age: float | None = None
    """Of an answer that was kept: seconds since it was given."""
    similarity: float | None = None
    """Of an answer that was kept: 1.0 when it was given to this very question."""
    saved: Mapping[str, Any] | None = None
    """The usage of the answer that was kept: what asking again would have cost."""

    @property
    def next_model(self) -> str | None:
        return None if self.next_body is None else str(self.next_body.get("model"))


@dataclass(frozen=True, slots=True)
class Job:
    """A call to be made later, elsewhere. Holds the prompt. Data for JSON: see `as_dict`."""

    body: Mapping[str, Any]
    labels: Mapping[str, Any]
    category: Category | None = None
    """Why it could not be made now."""
    variant: str = ""
    call_id: UUID | None = None
    """Of the call that was deferred."""

    def as_dict(self) -> dict[str, Any]:
        """The job as JSON has it."""
        return {
            "body": dict(self.body),
            "labels": dict(self.labels),
            "category": self.category,
            "variant": self.variant,
            "call_id": None if self.call_id is None else str(self.call_id),
        }
