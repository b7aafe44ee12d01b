"""A job as it lies in a broker: JSON, bounded in size, encrypted where the application says how. Pure.

What tells how often it was tried stays readable outside of what is encrypted: it is no personal data.
"""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self
from uuid import UUID

from llmclient._asked import Job
from llmclient._errors import CATEGORIES

FORM: Final = 1


class UnreadableError(ValueError):
    """What came out of the queue is no job, or was encrypted by a key that is not there."""


@dataclass(frozen=True, slots=True)
class Seal:
    """How text is encrypted and decrypted; functions from bytes to bytes. Without them it stays as it is."""

    close: Callable[[bytes], bytes] | None = None
    open: Callable[[bytes], bytes] | None = None

    def __post_init__(self) -> None:
        if (self.close is None) != (self.open is None):
            raise ValueError("give both encrypt and decrypt, or neither")

    def __bool__(self) -> bool:
        return self.close is not None

    def wrap(self, value: Mapping[str, Any]) -> dict[str, str]:
        """The value as JSON. Raises TypeError for what JSON has no form for."""
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        if self.close is None:
            return {"json": text}
        # A lone surrogate is no text in UTF-8, and yet may be in a prompt.
        sealed = self.close(text.encode("utf-8", "surrogatepass"))
        return {"sealed": base64.b64encode(sealed).decode()}

    def unwrap(self, wrapped: Mapping[str, Any]) -> dict[str, Any]:
        """The value again; UnreadableError when that cannot be."""
        try:
            if "json" in wrapped:
                value = json.loads(wrapped["json"])
            elif self.open is None:
                raise UnreadableError("it is encrypted, and no decrypt was given")
            else:
                value = json.loads(self.open(base64.b64decode(wrapped["sealed"])).decode("utf-8", "surrogatepass"))
        except UnreadableError:
            raise
        except Exception as error:  # whatever the application's decrypt raises
            raise UnreadableError(f"{type(error).__name__} while reading it") from error
        if not isinstance(value, dict):
            raise UnreadableError("it is no object")
        return value


@dataclass(frozen=True, slots=True)
class Envelope:
    """A job, when it was put into the queue (Unix time), and what became of it so far."""

    job: Mapping[str, str]
    at: float
    waits: int = 0
    faults: int = 0
    message: Mapping[str, str] | None = None
    """Claude's answer, where only handing it on failed."""
    given_up: Mapping[str, Any] | None = field(default=None)
    """Reason, category, error and time, where it is a dead letter."""

    def as_dict(self) -> dict[str, Any]:
        parts = {
            "form": FORM,
            "job": dict(self.job),
            "at": self.at,
            "waits": self.waits,
            "faults": self.faults,
            "message": None if self.message is None else dict(self.message),
            "given_up": None if self.given_up is None else dict(self.given_up),
        }
        return {name: value for name, value in parts.items() if value is not None}

    @classmethod
    def from_dict(cls, given: object) -> Self:
        """Raises UnreadableError. What it does not know it leaves out: a newer version may have written it."""
        if not isinstance(given, Mapping) or not isinstance(given.get("job"), Mapping):
            raise UnreadableError("it is no job")
        try:
            return cls(
                given["job"],
                float(given["at"]),
                int(given.get("waits", 0)),
                int(given.get("faults", 0)),
                given.get("message"),
                given.get("given_up"),
            )
        except (KeyError, TypeError, ValueError):
            raise UnreadableError("it is no job") from None

    @property
    def size(self) -> int:
        """Bytes of the job, about as many as it takes in the broker."""
        return sum(len(text.encode("utf-8", "surrogatepass")) for text in self.job.values())

    def afresh(self, now: float) -> "Envelope":
        """The same job, as if it had just been put into the queue. An answer that is there stays there."""
        return replace(self, at=now, waits=0, faults=0, given_up=None)


def put_in(job: Job, seal: Seal, *, now: float, max_bytes: int) -> Envelope:
    """The job ready for the broker. ValueError when it is too large, TypeError when it holds what is no JSON."""
    envelope = Envelope(seal.wrap(job.as_dict()), now)
    if envelope.size > max_bytes:
        raise ValueError(
            f"the job has {envelope.size:,} bytes, more than the {max_bytes:,} that one may have in the broker: "
            "upload large documents and images first and refer to them, or raise max_bytes"
        )
    return envelope


def take_out(envelope: Envelope, seal: Seal) -> Job:
    """The job again; UnreadableError when that cannot be."""
    data = seal.unwrap(envelope.job)
    body, labels, category, call_id = (data.get(name) for name in ("body", "labels", "category", "call_id"))
    if not isinstance(body, dict) or not isinstance(labels, dict):
        raise UnreadableError("it is no job")
    try:
        known = None if call_id is None else UUID(str(call_id))
    except ValueError:
        raise UnreadableError("it is no job") from None
    return Job(body, labels, category if category in CATEGORIES else None, str(data.get("variant", "")), known)
