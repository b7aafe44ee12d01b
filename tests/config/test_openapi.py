"""The OpenAPI document: it is the one in the docs, names every address of the API, and says what is answered."""

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

import ingest.urls
import metrics.urls
from config.openapi import document
from metrics.rollup import roll_up_hours, roll_up_minutes
from projects import keys
from projects.models import ReadKey
from tests import factories
from tests.factories import NOW

COMMITTED = Path(__file__).resolve().parents[2] / "docs" / "openapi.json"


def test_the_docs_have_the_document_that_the_code_makes() -> None:
    assert json.loads(COMMITTED.read_text()) == json.loads(json.dumps(document())), "run manage.py openapi"


def test_every_address_of_the_api_is_in_it() -> None:
    routes = [f"/api/v1/{route.pattern}" for route in (*ingest.urls.urlpatterns, *metrics.urls.urlpatterns)]
    assert len(routes) == 7
    assert {route.replace("<str:metric>", "{metric}") for route in routes} == set(document()["paths"])


def test_every_reference_leads_somewhere() -> None:
    schemas = document()["components"]["schemas"]
    named = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document())))
    assert named <= schemas.keys()
    assert {"Event", "Score", "Told", "Client", "Error"} <= named
    assert schemas["Event"]["properties"]["usage"]["anyOf"][0]["maxProperties"] == 64
    assert schemas["Event"]["required"] == ["id", "started_at", "duration_ms", "outcome"]


def fits(value: Any, schema: dict[str, Any], schemas: dict[str, Any]) -> bool:
    """Whether an answer has the shape a schema tells: the few words of JSON Schema that answers use."""
    if "$ref" in schema:
        return fits(value, schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if "anyOf" in schema:
        return any(fits(value, one, schemas) for one in schema["anyOf"])
    if "enum" in schema:
        return value in schema["enum"]
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "null": type(None)}
    told = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if not any(type(value) is kinds[kind] for kind in told):
        return False
    if isinstance(value, list):
        return all(fits(one, schema["items"], schemas) for one in value)
    if isinstance(value, dict) and "properties" in schema:
        known = schema["properties"]
        return set(schema["required"]) <= value.keys() <= known.keys() and all(
            fits(one, known[name], schemas) for name, one in value.items()
        )
    return True


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("metrics", "/api/v1/metrics"),
        ("metrics/error_rate", "/api/v1/metrics/{metric}"),
        ("metrics/spend/series?by=feature&bucket=1h", "/api/v1/metrics/{metric}/series"),
        ("metrics/latency_p95/series", "/api/v1/metrics/{metric}/series"),
        ("metrics/requests/breakdown?by=feature&top=1", "/api/v1/metrics/{metric}/breakdown"),
    ],
)
def test_answers_have_the_shape_it_tells(client: Client, address: str, path: str) -> None:
    owner = factories.project()
    factories.stored(owner, *(factories.event(NOW - timedelta(minutes=n + 1), feature=f"f{n % 2}") for n in range(4)))
    roll_up_minutes(now=NOW)
    roll_up_hours(now=NOW)
    _, token = keys.mint_of(ReadKey, owner, "")
    answer = client.get(f"/api/v1/{address}", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200
    told = document()
    schema = told["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert fits(answer.json(), schema, told["components"]["schemas"])
    assert not fits(answer.json() | {"surprise": 1}, schema, told["components"]["schemas"])
