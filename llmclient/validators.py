"""What is looked at before anything is sent: the first complaint ends the call with `InputRejected`.

A validator gets the request (its JSON, and under `labels` what the context says: user_id, tags …) and complains by
returning the reason, or the field and the reason. A validator that fails itself rejects the request, too: a guard that
cannot look must not let anybody pass. Pure.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from llmclient import _prompt, _schema, _usage

if TYPE_CHECKING:
    from llmclient._exceptions import InputRejected

Complaint = str | tuple[str, str]
"""The reason, or the part of the request that is wrong and the reason."""
Validator = Callable[[Mapping[str, Any]], Complaint | None]

FAILED: Final = "validator failed"


def check(
    validators: Iterable[Validator], body: Mapping[str, Any], labels: Mapping[str, Any] | None = None
) -> "InputRejected | None":
    """What the first validator that complains says, to be raised. The cause is kept when it failed itself."""
    request = {**body, "labels": labels or {}}
    for validator in validators:
        rejected = _ask(validator, request)
        if rejected is not None:
            return rejected
    return None


def _ask(validator: Validator, request: Mapping[str, Any]) -> "InputRejected | None":
    # Only here: the SDK is loaded by now, and our exceptions are its own.
    from llmclient._exceptions import InputRejected  # noqa: PLC0415

    try:
        complaint = validator(request)
        if complaint is None:
            return None
        if isinstance(complaint, str):
            return InputRejected("", complaint)
        field, reason = complaint
        return InputRejected(str(field), str(reason))
    except InputRejected as rejected:
        return rejected
    except Exception as error:  # noqa: BLE001  # whatever it is, nothing was found to be in order
        failed = InputRejected("", FAILED)
        failed.__cause__ = error
        return failed


@dataclass(frozen=True, slots=True)
class MaxCharacters:
    """At most so many characters of text in the prompt: system, messages, results of tools, plain-text documents."""

    most: int

    def __call__(self, request: Mapping[str, Any]) -> Complaint | None:
        characters = sum(map(len, _prompt.texts(request)))
        return None if characters <= self.most else ("messages", f"{characters} characters, of {self.most} at most")


@dataclass(frozen=True, slots=True)
class MaxTokens:
    """At most so many tokens in the prompt, tools included: estimated, 3.5 characters each, images not counted."""

    most: int

    def __call__(self, request: Mapping[str, Any]) -> Complaint | None:
        tools = request.get("tools")
        characters = sum(map(len, _prompt.texts(request))) + (len(json.dumps(tools)) if tools else 0)
        tokens = _usage.estimate_tokens(characters)
        return None if tokens <= self.most else ("messages", f"about {tokens} tokens, of {self.most} at most")


class Forbidden:
    """No text of the prompt may match. The reason does not repeat what matched."""

    def __init__(self, pattern: str | re.Pattern[str], reason: str = "contains what is not allowed") -> None:
        self._pattern = re.compile(pattern)
        self._reason = reason

    def __call__(self, request: Mapping[str, Any]) -> Complaint | None:
        found = any(self._pattern.search(text) for text in _prompt.texts(request))
        return ("messages", self._reason) if found else None


class Schema:
    """A part of the request must fit a JSON schema, or a pydantic model.

    `part` is a path: "metadata", "messages.0.content", "labels.tags", or "" for the whole request. A part that is not
    there is a complaint, unless it is `optional`. ValueError for a schema that cannot be checked in full.
    """

    def __init__(self, form: Any, part: str = "", *, optional: bool = False) -> None:
        self._part = part
        self._optional = optional
        self._complaints = _schema.Reader(form).complaints if isinstance(form, Mapping) else _model(form)

    def __call__(self, request: Mapping[str, Any]) -> Complaint | None:
        value: Any = request
        for step in filter(None, self._part.split(".")):
            try:
                value = value[int(step)] if isinstance(value, list) else value[step]
            except (LookupError, TypeError, ValueError):
                return None if self._optional else (self._part, "is missing")
        for place, reason in self._complaints(value):
            return (_schema.inside(self._part, place) if place else self._part), reason
        return None


def _model(form: Any) -> Callable[[Any], Iterable[tuple[str, str]]]:
    from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415  # it comes with the SDK

    adapter = TypeAdapter(form)

    def complaints(value: Any) -> Iterable[tuple[str, str]]:
        try:
            adapter.validate_python(value)
        except ValidationError as error:
            for each in error.errors(include_url=False, include_context=False, include_input=False):
                yield ".".join(map(str, each["loc"])), each["msg"]

    return complaints
