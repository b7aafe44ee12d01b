"""Answers in a form: asks for it, checks it, and has Claude repair what does not fit.

`Extraction` decides what to ask next and is shared by the two functions around it. All tries are made in one context:
they have one deadline together, and whoever listens to the calls sees all of them.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, overload

from llmclient import _form, _quality
from llmclient._context import Calls, context
from llmclient._form import MISFITS, Form, form_of
from llmclient._quality import Quality

if TYPE_CHECKING:
    from llmclient._call import Call

T = TypeVar("T")

# In these words to Claude: they are sent when an answer has to be repaired.
REPAIR: Final = """That is not in the form asked for:
{complaints}
Answer once more, complete and with this corrected. Give {what} alone, without any other text."""

# What is not the end of an answer cannot be repaired by asking for another form.
UNFINISHED: Final[Mapping[str, str]] = {
    "refusal": "Claude refused to answer",
    "max_tokens": "The answer was cut off at max_tokens",
    "model_context_window_exceeded": "The answer was cut off at the end of the context window",
    "tool_use": "The answer calls a tool instead of giving a result",
    "pause_turn": "The answer was paused",
}


class Extraction(Generic[T]):
    """One result, asked for as often as need be: `request` is what to send, `take` looks at what came back."""

    def __init__(self, form: Form[T], asked: Mapping[str, Any], repairs: int) -> None:
        for name in ("stream", "output_format"):
            if name in asked:
                raise TypeError(f"{name} does not go with extract(): it reads the whole answer, and brings the form")
        if repairs < 0:
            raise ValueError(f"repairs: {repairs!r} must be at least 0")
        self._form = form
        self._left = repairs
        self.repairs = 0
        self.value: T | None = None
        self.judged: Call | None = None
        self.quality: Quality | None = None
        self.request: dict[str, Any] = dict(asked)
        if "messages" in asked:  # the SDK itself says what is missing
            self.request["messages"] = list(asked["messages"])
        self._messages = self.request.get("messages", [])
        if form.schema is not None:
            output = asked.get("output_config") or {}
            if output.get("format"):
                raise TypeError("output_config.format does not go with extract(): it brings the form")
            format_ = {"type": "json_schema", "schema": form.schema}
            self.request["output_config"] = {**output, "format": format_}

    def take(self, message: Any, call: "Call | None" = None) -> bool:
        """Whether the answer gave the `value`; if not, `request` is what to ask next. Raises InvalidOutput."""
        self.judged, self.quality = call, Quality(valid=False, repairs=self.repairs)
        text = "".join(block.text for block in message.content if block.type == "text")
        if message.stop_reason in UNFINISHED:
            raise _invalid(UNFINISHED[message.stop_reason], text, [_why(message)], call)
        try:
            self.value = self._form.read(text)
        except MISFITS as error:
            complaints = _form.complaints_of(error)
            if self._left == 0:
                tries = f", also after {self.repairs} repair{'s' if self.repairs > 1 else ''}" if self.repairs else ""
                said = f"The answer does not have the form asked for{tries}: {'; '.join(complaints)}"
                raise _invalid(said, text, complaints, call) from error
            self._left -= 1
            self.repairs += 1
            self.request["messages"] = [*self._messages, *_repair(text, complaints, self._form)]
            return False
        self.quality = Quality(valid=True, repairs=self.repairs)
        return True


@overload
def extract(client: Any, form: type[T], *, repairs: int = 1, **asked: Any) -> T: ...
@overload
def extract(client: Any, form: Mapping[str, Any], *, repairs: int = 1, **asked: Any) -> Any: ...
@overload
def extract(client: Any, form: Callable[[str], T], *, repairs: int = 1, **asked: Any) -> T: ...
def extract(client: Any, form: Any, *, repairs: int = 1, **asked: Any) -> Any:
    """Asks Claude for a result in a form, and gives the result.

    `form`: a pydantic model or another type, a JSON schema, or a function that reads the text and raises ValueError
    where it cannot. The rest is what `messages.create` takes. An answer that does not fit is sent back with what is
    wrong, `repairs` times; after that, and for an answer that was refused or cut off, InvalidOutput is raised.
    """
    extraction = Extraction(form_of(form), asked, repairs)
    with _as_one(client, asked, extraction) as calls:
        while True:
            message = client.messages.create(**extraction.request)
            if inspect.isawaitable(message):
                if inspect.iscoroutine(message):
                    message.close()
                raise TypeError("extract() is for sync clients; await aextract() with this one")
            if extraction.take(message, calls.last):
                return extraction.value


@overload
async def aextract(client: Any, form: type[T], *, repairs: int = 1, **asked: Any) -> T: ...
@overload
async def aextract(client: Any, form: Mapping[str, Any], *, repairs: int = 1, **asked: Any) -> Any: ...
@overload
async def aextract(client: Any, form: Callable[[str], T], *, repairs: int = 1, **asked: Any) -> T: ...
async def aextract(client: Any, form: Any, *, repairs: int = 1, **asked: Any) -> Any:
    """As `extract`, with an async client."""
    extraction = Extraction(form_of(form), asked, repairs)
    with _as_one(client, asked, extraction) as calls:
        while True:
            answer = client.messages.create(**extraction.request)
            if not inspect.isawaitable(answer):
                raise TypeError("aextract() is for async clients; use extract() with this one")
            if extraction.take(await answer, calls.last):
                return extraction.value


@contextmanager
def _as_one(client: Any, asked: Mapping[str, Any], extraction: Extraction[Any]) -> Iterator[Calls]:
    """The calls made inside belong together; however it ends, what became of the last answer is told."""
    with _together(client, asked), context() as calls:
        try:
            yield calls
        finally:
            if extraction.quality is not None:
                _quality.tell(extraction.judged, extraction.quality)


def _together(client: Any, asked: Mapping[str, Any]) -> AbstractContextManager[object]:
    """One deadline for all tries, where the client's middleware knows how long one call may take."""
    for entry in getattr(client, "middleware", ()):
        together = getattr(entry, "together", None)
        if together is not None:
            shared: AbstractContextManager[object] = together(asked.get("timeout"))
            return shared
    return nullcontext()


def _repair(text: str, complaints: tuple[str, ...], form: Form[Any]) -> list[dict[str, str]]:
    listed = "\n".join(f"- {complaint}" for complaint in complaints)
    what = "the result" if form.schema is None else "the JSON"
    turn = {"role": "user", "content": REPAIR.format(complaints=listed, what=what)}
    # The API takes no empty turn.
    return [{"role": "assistant", "content": text}, turn] if text.strip() else [turn]


def _why(message: Any) -> str:
    details = getattr(message, "stop_details", None)
    category = getattr(details, "category", None)
    return f"{message.stop_reason}: {category}" if category else str(message.stop_reason)


def _invalid(said: str, text: str, errors: Sequence[str], call: "Call | None") -> Exception:
    from llmclient._exceptions import InvalidOutput  # noqa: PLC0415  # the SDK is loaded by now

    invalid = InvalidOutput(said, partial=text, errors=errors)
    invalid.call = call
    return invalid
