"""The one way into the audit trail."""

from django.contrib.auth.models import User

from projects.models import AuditEvent, Project


def record(actor: User | None, action: str, project: Project | None, target: object) -> AuditEvent:
    """Notes who did what: `action` is verb.noun, `actor` None is the command line or the system. Never a body."""
    return AuditEvent.objects.create(actor=actor, action=action, project=project, target=str(target)[:200])
