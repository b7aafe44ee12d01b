"""Names people type that no call has used yet: allowed, because rules may come before traffic, but worth saying."""

from ingest.models import Dimension
from ingest.vocabulary import DimensionKind
from projects.models import Project


def unheard_of(project: Project, *, environment: str, feature: str) -> list[str]:
    """Return one sentence per name that no call of the project has carried."""
    asked = ((DimensionKind.ENVIRONMENT, environment), (DimensionKind.FEATURE, feature))
    return [
        f"No call has named the {kind.name.lower()} “{name}” yet. Until one does, nothing counts here."
        for kind, name in asked
        if name and not Dimension.objects.filter(project=project, kind=kind, name=name).exists()
    ]
