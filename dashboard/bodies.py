"""Reading a prompt and its response: allowed to few, and noted before anything is shown."""

from dataclasses import dataclass

import orjson
from django.contrib.auth.models import User

from dashboard.search import Call
from ingest import bodies
from ingest.models import BodyDictionary, RequestBody
from projects import audit
from projects.models import Project


@dataclass(frozen=True, slots=True)
class Body:
    """The text of a call, or why there is none."""

    input: str = ""
    output: str = ""
    why_not: str = ""


def read_body(call: Call, project: Project, reader: User) -> Body:
    """Note that `reader` reads this body, then read it. When it cannot be noted, it is not shown."""
    audit.record(reader, "read.body", project, call.id)
    row = RequestBody.objects.filter(project_id=project.pk, id=call.id).first()
    if row is None:
        return Body(why_not="The body of this call is no longer kept.")
    try:
        content = bodies.unpack(row.dictionary_id, bytes(row.body))
    except (bodies.BodyError, BodyDictionary.DoesNotExist) as error:
        return Body(why_not=f"The body of this call cannot be read: {error}")
    return Body(_readable(content.get("input")), _readable(content.get("output")))


def _readable(text: object) -> str:
    """Return JSON indented, and anything else as it is."""
    if text is None:
        return ""
    try:
        return orjson.dumps(orjson.loads(str(text)), option=orjson.OPT_INDENT_2).decode()
    except orjson.JSONDecodeError:
        return str(text)
