"""Options that several commands have: a moment, and one project or all of them."""

from datetime import UTC, datetime

from django.core.management.base import CommandError

from projects.models import Project


def moment(option: str, text: str) -> datetime:
    """A day or a time; without a zone it is UTC. Raises CommandError naming the option."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise CommandError(
            f"{option}: {text} is neither a day like 2026-10-07 nor a time like 2026-10-07T12:00Z"
        ) from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def span(since: str, until: str | None, now: datetime) -> tuple[datetime, datetime]:
    """`--since` and `--until`, which is now when it is not given. Raises CommandError when nothing lies between."""
    start = moment("--since", since)
    end = now if until is None else moment("--until", until)
    if start >= end:
        raise CommandError("--since must be before --until")
    return start, end


def projects(slug: str | None) -> list[Project]:
    """The project of `--project`, or all of them. Raises CommandError naming those there are."""
    if slug is None:
        return list(Project.objects.order_by("slug"))
    project = Project.objects.filter(slug=slug).first()
    if project is None:
        known = ", ".join(Project.objects.order_by("slug").values_list("slug", flat=True)) or "none"
        raise CommandError(f"--project: there is no project {slug}; there are: {known}")
    return [project]
