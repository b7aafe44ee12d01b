"""The API as an OpenAPI 3.1 document, made from the types that read it: what it says is what is checked.

`manage.py openapi` prints it; docs/openapi.json is what it printed last.
"""

from typing import Any, Final

import msgspec

from ingest.annotations import Told
from ingest.events import MOST_USAGE_KEYS, Client, Event, ReportedUsage
from ingest.scores import Score
from ingest.store import Receipt
from ingest.wire import MOST_EVENTS, MOST_SCORES, Rejection
from metrics.asked import DIMENSIONS, MOST_LINES, MOST_PARTS
from metrics.catalog import DIMENSIONS_OF, METRICS
from metrics.units import Unit

Document = dict[str, Any]

_TEXT: Final[Document] = {"type": "string"}
_NUMBER: Final[Document] = {"type": "integer"}
_TIME: Final[Document] = {"type": "string", "format": "date-time"}
_UNIT: Final[Document] = {"enum": [unit.value for unit in Unit]}
_VALUE: Final[Document] = {
    "type": ["integer", "string", "null"],
    "description": "A sum is a whole number in the unit, a quotient text with all its digits, unknown is null.",
}
_FILTERS: Final = tuple(name for name in DIMENSIONS if name != "score")
_WRONG: Final = {
    "400": "A parameter, header or part of the body is wrong; `field` names it.",
    "401": "No key, or one that is mistyped, unknown, revoked or expired.",
    "503": "The database is away or too busy: nothing was stored. Send the same again after Retry-After.",
}
_DOORS: Final = {
    "403": "The key may not do this.",
    "413": "Larger than 8 MiB, before or after inflating, or too many events or scores.",
    "415": "Not application/json, or an encoding other than gzip and zstd.",
}
_QUESTIONS: Final = {
    "404": "There is no such metric.",
    "429": "More than 120 questions in a minute with one key, of each web process.",
}


def document() -> Document:
    """Return the whole document; the same for every installation of this version."""
    types = (Event, Client, Score, Told, Rejection)
    _, schemas = msgspec.json.schema_components(types, schema_hook=_usage, ref_template="#/components/schemas/{name}")
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "LLM Vitals",
            "version": "1",
            "description": "Calls, scores and changes are sent with an ingest key, numbers are read with a read key.",
        },
        "paths": _sent() | _read(),
        "components": {
            "schemas": schemas | _answers(),
            "securitySchemes": {
                "ingestKey": {"type": "http", "scheme": "bearer", "description": "llv_ing_…"},
                "readKey": {"type": "http", "scheme": "bearer", "description": "llv_read_…"},
            },
        },
    }


def _usage(found: type) -> Document:
    """The provider's usage object is taken as it comes: its keys are the provider's."""
    if found is ReportedUsage:
        return {"type": "object", "maxProperties": MOST_USAGE_KEYS, "description": "The usage object of the answer."}
    raise NotImplementedError


def _sent() -> Document:
    events = _object({"events": _many("Event", MOST_EVENTS)}, client=_of("Client"), scores=_many("Score", MOST_SCORES))
    return {
        "/api/v1/events": {
            "post": _taken("Store a batch of calls, each once; answered when durable.", events, "Stored")
        },
        "/api/v1/scores": {
            "post": _taken(
                "Store what somebody thought of answers; the newest of a name counts.",
                _object({"scores": _many("Score", MOST_SCORES)}),
                "Scored",
            )
        },
        "/api/v1/annotations": {
            "post": _taken("Mark a change in the charts, once however often it is sent.", _of("Told"), "Marked")
        },
    }


def _read() -> Document:
    metric = _parameter("metric", "path", {"enum": list(METRICS)}, required=True)
    asked = [
        _parameter("from", "query", _TEXT, "2026-11-22T14:00:00Z, now, now-30m, now-6h, now-7d; default now-24h."),
        _parameter("to", "query", _TEXT, "As from; exclusive; default now."),
        *(_parameter(name, "query", _TEXT, "Only calls with this name; (none): without one.") for name in _FILTERS),
        _parameter("score", "query", _TEXT, "Only scores with this name; for metrics of scores."),
    ]
    by = _parameter("by", "query", {"enum": list(DIMENSIONS)})
    bucket = _parameter("bucket", "query", _TEXT, "5m, 1h (default), 1d, …")
    path = "/api/v1/metrics/{metric}"
    return {
        "/api/v1/metrics": {"get": _asked("All metrics, and what they can be cut by.", [], "Catalog")},
        path: {"get": _asked("One number.", [metric, *asked], "Value")},
        f"{path}/series": {
            "get": _asked("The metric over time.", [metric, *asked, bucket, by, _top(MOST_LINES, 5)], "Series")
        },
        f"{path}/breakdown": {
            "get": _asked(
                "The largest parts, and the rest.",
                [metric, *asked, by | {"required": True}, _top(MOST_PARTS, 10)],
                "Breakdown",
            )
        },
    }


def _answers() -> Document:
    policy = {"policy_version": _NUMBER}
    rejected = {"rejected": {"type": "array", "items": _of("Rejection")}}
    head = {"metric": _TEXT, "unit": _UNIT, "from": _TIME, "to": _TIME, "complete_to": {"type": ["string", "null"]}}
    head |= {"filters": {"type": "object", "additionalProperties": _TEXT}}
    number = {"value": _VALUE, "calls": _NUMBER, "unpriced": _NUMBER}
    part = _object(number)
    line = _object(
        {"values": {"type": "array", "items": _VALUE}, "calls": {"type": "array", "items": _NUMBER}}, name=_TEXT
    )
    dimensions = {"type": "array", "items": {"enum": list(DIMENSIONS)}}
    about = {"metric": _TEXT, "label": _TEXT, "unit": _UNIT, "better": {"enum": ["lower", "higher"]}}
    about |= {"of": {"enum": list(DIMENSIONS_OF)}, "dimensions": dimensions}
    return {
        "Error": _object({"error": _TEXT}, field=_TEXT),
        "Stored": _object(dict.fromkeys(Receipt._fields, _NUMBER) | rejected | policy, scores_accepted=_NUMBER),
        "Scored": _object({"scores_accepted": _NUMBER} | rejected | policy),
        "Marked": _object({"id": _NUMBER, "at": _TIME, "is_new": {"type": "boolean"}} | policy),
        "Catalog": _object(
            {
                "metrics": {"type": "array", "items": _object(about | {"description": _TEXT})},
                "dimensions": dimensions,
            }
        ),
        "Value": _object(head | number),
        "Series": _object(
            head
            | {
                "bucket_seconds": _NUMBER,
                "starts": {"type": "array", "items": _TIME},
                "series": {"type": "array", "items": line},
            },
            by=_TEXT,
        ),
        "Breakdown": _object(
            head
            | {
                "by": _TEXT,
                "parts": {"type": "array", "items": _object({"name": _TEXT} | number)},
                "other": {"anyOf": [part, {"type": "null"}]},
                "total": part,
            }
        ),
    }


def _taken(summary: str, body: Document, answer: str) -> Document:
    content = {"application/json": {"schema": body}}
    return _operation(summary, answer, "ingestKey", _WRONG | _DOORS) | {
        "requestBody": {"required": True, "content": content}
    }


def _asked(summary: str, parameters: list[Document], answer: str) -> Document:
    return _operation(summary, answer, "readKey", _WRONG | _QUESTIONS) | {"parameters": parameters}


def _operation(summary: str, answer: str, key: str, wrong: dict[str, str]) -> Document:
    told = {"application/json": {"schema": _of("Error")}}
    return {
        "summary": summary,
        "security": [{key: []}],
        "responses": {
            "200": {"description": summary, "content": {"application/json": {"schema": _of(answer)}}},
            **{code: {"description": why, "content": told} for code, why in sorted(wrong.items())},
        },
    }


def _parameter(name: str, place: str, schema: Document, description: str = "", *, required: bool = False) -> Document:
    told = {"description": description} if description else {}
    return {"name": name, "in": place, "required": required, "schema": schema} | told


def _top(most: int, usual: int) -> Document:
    return _parameter("top", "query", {"type": "integer", "minimum": 1, "maximum": most, "default": usual})


def _object(required: Document, **optional: Document) -> Document:
    return {"type": "object", "properties": required | optional, "required": list(required)}


def _many(name: str, most: int) -> Document:
    return {"type": "array", "items": _of(name), "maxItems": most}


def _of(name: str) -> Document:
    return {"$ref": f"#/components/schemas/{name}"}
