"""Reading a prompt and its response: allowed to few, and noted before anything is shown."""

from dataclasses import dataclass

from django.contrib.auth.models import User

from dashboard import transcript
from dashboard.search import Call
from dashboard.transcript import Turn
from ingest import bodies
from ingest.models import BodyDictionary, RequestBody
from projects import audit
from projects.models import Project


@dataclass(frozen=True, slots=True)
class Body:
    """What was said in a call, or why it cannot be shown."""

    turns: tuple[Turn, ...] = ()
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
    return Body((*transcript.asked(content.get("input") or ""), *transcript.answered(content.get("output") or "")))
