"""A JSON value, string by string: keys, long numbers, JSON inside strings, text that is cut into blocks, and files."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, Final, Protocol

MOST_DEPTH: Final = 100
TOO_DEEP: Final = "[nested too deeply]"
LONGEST_LABEL: Final = 40  # characters of a key that its value is read together with
SMALLEST_NUMBER: Final = 1_000_000  # below it no whole number is anybody's phone
PASSWORDS: Final = frozenset({"password", "passwd", "passphrase", "pwd"})
PASSWORD: Final = "[password]"  # noqa: S105  # what stands in place of one
TEXT_FIELDS: Final = ("text", "thinking", "partial_json")
_REMOVED: Final = re.compile(r"\[[a-z][a-z0-9_]*\]")
_MEDIA: Final = re.compile(r"[\w.+-]{1,40}/[\w.+-]{1,80}", re.ASCII)
_NOTE: Final = re.compile(r"\[[\w./+-]{1,130}, \d{1,12} bytes left out\]", re.ASCII)
_DATA_URL: Final = re.compile(
    r"data:([\w.+-]{1,40}/[\w.+-]{1,80})(?:;[\w.=-]{1,40}){0,3};base64,([\w+/=-]{64,}+)", re.ASCII
)


class Clean(Protocol):
    """Neighbouring texts in, the same without what was found out; counts it."""

    def __call__(self, texts: Sequence[str], counts: Counter[str], label: str = "") -> list[str]: ...


class _Done(str):
    """A text that is clean already."""

    __slots__ = ()


class Walk:
    """Goes through one value and adds to `counts`. Raises what `clean` raises."""

    def __init__(self, clean: Clean, counts: Counter[str]) -> None:
        self._clean = clean
        self._counts = counts

    def value(self, value: Any, label: str = "", depth: int = 0) -> Any:
        """The value without what was found; `label` is the key it stands under."""
        if isinstance(value, _Done):
            return str(value)
        if label.lower() in PASSWORDS and isinstance(value, str | int) and not isinstance(value, bool):
            return self._password(value)
        if isinstance(value, str):
            return self._text(value, label, depth)
        if isinstance(value, int) and not isinstance(value, bool):
            return self._number(value, label)
        if isinstance(value, dict | list | tuple):
            if depth >= MOST_DEPTH:
                return TOO_DEEP
            return self._mapping(value, depth + 1) if isinstance(value, dict) else self._list(value, label, depth + 1)
        return value

    def _password(self, value: str | int) -> str | int:
        """Gone, whatever it looks like, unless there is none or it is gone already."""
        if value == "" or _REMOVED.fullmatch(str(value)):
            return value
        self._counts["password"] += 1
        return PASSWORD

    def _text(self, text: str, label: str, depth: int) -> str:
        text = self._inside(text, depth)
        return self._clean([text], self._counts, label if len(label) <= LONGEST_LABEL else "")[0]

    def _inside(self, text: str, depth: int) -> str:
        """A text whose own structure is cleaned: JSON, and files in addresses."""
        if ";base64," in text:
            text = _DATA_URL.sub(lambda match: left_out(match[2], match[1]), text)
        if text[:1] not in ("{", "[") or text[-1:] not in ("}", "]"):
            return text
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):  # it only looked like it
            return text
        clean = self.value(document, "", depth)
        return text if clean == document else json.dumps(clean, ensure_ascii=False, separators=(",", ":"))

    def _number(self, number: int, label: str) -> int | str:
        if abs(number) < SMALLEST_NUMBER:
            return number
        written = str(number)
        [clean] = self._clean([written], self._counts, label if len(label) <= LONGEST_LABEL else "")
        return number if clean == written else clean

    def _mapping(self, mapping: dict[Any, Any], depth: int) -> dict[Any, Any]:
        out: dict[Any, Any] = {}
        is_file = mapping.get("type") == "base64" and isinstance(mapping.get("data"), str)
        for key, value in mapping.items():
            name = self._key(key, mapping, out) if isinstance(key, str) else key
            if is_file and key == "data":
                out[name] = left_out(value, mapping.get("media_type"))
            else:
                out[name] = self.value(value, key if isinstance(key, str) else "", depth)
        return out

    def _key(self, key: str, mapping: dict[Any, Any], out: dict[Any, Any]) -> str:
        [clean] = self._clean([key], self._counts)
        if clean == key:
            return key
        name, number = clean, 1
        while name in mapping or name in out:  # two people of one kind are still two
            number += 1
            name = f"{clean} {number}"
        return name

    def _list(self, values: Sequence[Any], label: str, depth: int) -> list[Any]:
        out: list[Any] = []
        for field, group in groupby(values, key=_text_field):
            run = list(group)
            if field is not None and len(run) > 1:
                texts = [self._inside(_holder(item)[field[0]], depth) for item in run]
                run = list(_with(run, field[0], self._clean(texts, self._counts)))
            out += [self.value(item, label, depth) for item in run]
        return out


def _holder(item: dict[str, Any]) -> dict[str, Any]:
    delta = item.get("delta")
    return delta if isinstance(delta, dict) else item


def _text_field(item: Any) -> tuple[str, Any] | None:
    """Which text of a content block, or of an event of a stream, goes on in the next one of the same kind and index."""
    if not isinstance(item, dict):
        return None
    holder = _holder(item)
    field = next((name for name in TEXT_FIELDS if isinstance(holder.get(name), str)), None)
    return None if field is None else (field, item.get("index"))


def _with(run: Sequence[dict[str, Any]], field: str, texts: Sequence[str]) -> Iterator[dict[str, Any]]:
    for item, text in zip(run, texts, strict=True):
        holder = {**_holder(item), field: _Done(text)}
        yield holder if _holder(item) is item else {**item, "delta": holder}


def left_out(data: str, media: object) -> str:
    """What stands in place of a file in base64: its type and size."""
    if _NOTE.fullmatch(data):
        return data
    kind = media if isinstance(media, str) and _MEDIA.fullmatch(media) else "data"
    return f"[{kind}, {len(data.rstrip('=')) * 3 // 4} bytes left out]"
