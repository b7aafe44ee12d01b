"""The models the fake knows, and where in their lives they are."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from llmclient.testing._pricelist import undated

Lifecycle = Literal["active", "deprecated", "retired"]


@dataclass(frozen=True, slots=True)
class Model:
    """One model of the Models API. Instants are RFC 3339. Only `lifecycle` retires it: a date that passed does not."""

    id: str
    name: str = ""
    lifecycle: Lifecycle = "active"
    created_at: str = "2026-09-01T00:00:00Z"
    deprecated_at: str | None = None
    retires_at: str | None = None
    max_input_tokens: int = 1_000_000
    max_tokens: int = 128_000

    def as_json(self) -> dict[str, Any]:
        return {
            "type": "model",
            "id": self.id,
            "display_name": self.name or _name(self.id),
            "line": self.id.removeprefix("claude-").split("-")[0],
            "created_at": self.created_at,
            "lifecycle": self.lifecycle,
            "deprecated_at": self.deprecated_at,
            "retires_at": self.retires_at,
            "max_input_tokens": self.max_input_tokens,
            "max_tokens": self.max_tokens,
        }


CURRENT_MODELS: Final = (Model("claude-opus-5-5"), Model("claude-sonnet-5-5"), Model("claude-haiku-5-5"))
ALL_MODELS: Final = (
    *CURRENT_MODELS,
    Model("claude-opus-5", created_at="2026-04-14T00:00:00Z"),
    Model("claude-sonnet-5", created_at="2026-03-02T00:00:00Z"),
    Model(
        "claude-sonnet-4-5-20250929",
        "Claude Sonnet 4.5",
        "deprecated",
        "2025-09-29T00:00:00Z",
        "2026-05-30T00:00:00Z",
        "2026-11-30T00:00:00Z",
        200_000,
        64_000,
    ),
    Model(
        "claude-opus-4-20250514",
        "Claude Opus 4",
        "retired",
        "2025-05-14T00:00:00Z",
        "2025-12-15T00:00:00Z",
        "2026-06-15T00:00:00Z",
        200_000,
        32_000,
    ),
)


class Lineup:
    """The models by name, in their order; may be changed from another thread."""

    def __init__(self, models: Iterable[Model]) -> None:
        self._models = {model.id: model for model in models}

    def find(self, name: str) -> Model | None:
        """The model of that id, or of its alias without the date."""
        models = self._models
        return models.get(name) or next((model for model in models.values() if undated(model.id) == name), None)

    def all(self) -> list[Model]:
        return list(self._models.values())

    def is_served(self, name: str) -> bool:
        """Whether messages may name it: also models nobody listed, but no retired ones."""
        model = self.find(name) or self.find(undated(name))
        return name.startswith("claude-") and (model is None or model.lifecycle != "retired")

    def deprecate(self, name: str, *, at: str, retires_at: str | None) -> None:
        self._put(replace(self._known(name), lifecycle="deprecated", deprecated_at=at, retires_at=retires_at))

    def retire(self, name: str, *, at: str) -> None:
        model = self._known(name)
        self._put(replace(model, lifecycle="retired", deprecated_at=model.deprecated_at or at, retires_at=at))

    def _known(self, name: str) -> Model:
        return self.find(name) or Model(name)

    def _put(self, model: Model) -> None:
        self._models = {**self._models, model.id: model}


def page(items: Sequence[Mapping[str, Any]], after: str | None, before: str | None, limit: int) -> dict[str, Any]:
    """A page of a list that is read by `after_id`, `before_id` and `limit`."""
    ids = [item["id"] for item in items]
    if before in ids:
        shown = items[max(0, ids.index(before) - limit) : ids.index(before)]
        more = ids.index(before) > limit
    else:
        first = ids.index(after) + 1 if after in ids else 0
        shown, more = items[first : first + limit], len(items) > first + limit
    named = {"first_id": shown[0]["id"], "last_id": shown[-1]["id"]} if shown else {"first_id": None, "last_id": None}
    return {"data": shown, "has_more": more, **named}


def _name(model: str) -> str:
    line, _, version = undated(model).removeprefix("claude-").partition("-")
    return f"Claude {line.capitalize()} {version.replace('-', '.')}".strip()
