"""A request as the fake received it, and the answer a caller may dictate in its headers."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from llmclient.testing._answers import Answer, Break, HangUp, Reply, ToolUse, fail

PLAN_HEADER: Final = "x-fake-plan"
USAGE_HEADER: Final = "x-fake-usage"


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, or one request inside a batch. Header names are lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any] | None = None
    """None when it was not a JSON object."""
    number: int = 0
    """Counts the requests since the fake was started, from 1."""
    attempt: int = 1
    """Counts the requests with the same plan, from 1."""
    query: Mapping[str, Sequence[str]] = field(default_factory=dict)
    custom_id: str | None = None
    """Of a request inside a batch; None for an HTTP request."""

    @property
    def stream(self) -> bool:
        return self.body is not None and self.body.get("stream") is True

    @property
    def model(self) -> str:
        return str(self.body.get("model", "")) if self.body is not None else ""

    @property
    def key(self) -> str:
        """The API key it came with; empty when there is none."""
        bearer = self.headers.get("authorization", "").removeprefix("Bearer").strip()
        return bearer or self.headers.get("x-api-key", "")

    def asked(self, name: str, default: str | None = None) -> str | None:
        """The last value of a parameter in the address."""
        values = self.query.get(name)
        return values[-1] if values else default


@dataclass(frozen=True, slots=True)
class Plan:
    """What one logical call is to meet, carried by the header `x-fake-plan` as JSON.

    `failures` are answered one per attempt, in order, before the reply. The attempts of a call share its `id`.
    """

    id: str
    reply: Mapping[str, Any] = field(default_factory=dict)
    failures: tuple[Mapping[str, Any], ...] = ()

    def header(self) -> str:
        """The value of `x-fake-plan`."""
        return json.dumps({"id": self.id, "reply": self.reply, "failures": self.failures}, separators=(",", ":"))

    def answer(self, attempt: int) -> Answer:
        """What the `attempt`-th request (from 1) is answered."""
        if attempt <= len(self.failures):
            step = dict(self.failures[attempt - 1])
            if step.pop("hang_up", False):
                return HangUp(**step)
            return Reply(**_typed(step)) if "breaks" in step else fail(**step)
        return Reply(**_typed(dict(self.reply)))

    @property
    def request_id(self) -> str:
        """Function of the plan, so that a repeated replay sees the same ids."""
        return f"req_{self.id}"


def read_plan(headers: Mapping[str, str]) -> Plan | None:
    """The plan in the request's headers, if any. Raises ValueError, KeyError or TypeError when it is not one."""
    text = headers.get(PLAN_HEADER)
    if text is not None:
        raw = json.loads(text)
        return Plan(str(raw["id"]), raw.get("reply", {}), tuple(raw.get("failures", ())))
    usage = headers.get(USAGE_HEADER)
    if usage is None:
        return None
    input_tokens, output_tokens = (int(part) for part in usage.split(","))
    return Plan("", {"input_tokens": input_tokens, "output_tokens": output_tokens})


def _typed(fields: dict[str, Any]) -> dict[str, Any]:
    if fields.get("breaks") is not None:
        fields["breaks"] = Break(fields["breaks"])
    if "tools" in fields:
        fields["tools"] = tuple(ToolUse(**tool) for tool in fields["tools"])
    return fields
