"""From nothing to the first call: which steps are done, and what the next one needs."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django import forms
from django.contrib.auth.models import User
from django.core.mail import EmailMessage
from django.utils.text import slugify

from alerting import starter_rules
from budgets.models import Budget
from dashboard.search import newest
from projects import audit, keys
from projects.models import IngestKey, Project, Recipient

# Projects that have had a call. They do not go back, so one look is enough for the life of the process.
_started: Final[set[int]] = set()


def has_started(project: Project, now: datetime) -> bool:
    """Return whether the project has ever stored a call."""
    if project.pk not in _started and newest(project, now) is not None:
        _started.add(project.pk)
    return project.pk in _started


class ProjectForm(forms.Form):
    """The name of the first project; its address is made from it."""

    name = forms.CharField(max_length=120, strip=True, label="Name of the product or team")

    def clean_name(self) -> str:
        # In one line: it stands in the subject of mails.
        name = " ".join(self.cleaned_data["name"].split())
        slug = slugify(name)[:64]
        if slug == "":
            raise forms.ValidationError("Write a name with at least one letter from a to z or a digit.")
        if Project.objects.filter(slug=slug).exists():
            raise forms.ValidationError(f"There is a project called {slug} already.")
        return name

    def create(self, actor: User) -> Project:
        """Make the project with its starter rules."""
        name = self.cleaned_data["name"]
        project = Project.objects.create(name=name, slug=slugify(name)[:64])
        starter_rules.install(project)
        audit.record(actor, "create.project", project, project.slug)
        return project


class KeyForm(forms.Form):
    environment = forms.RegexField(
        r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$",
        initial="production",
        label="Environment",
        error_messages={"invalid": "An environment is a short name like production or staging."},
    )

    def create(self, project: Project, actor: User) -> str:
        """Make a key and return its text, which is shown once and never kept."""
        key, secret = keys.mint(project, self.cleaned_data["environment"], created_by=actor, label="First steps")
        audit.record(actor, "create.key", project, key)
        return secret


@dataclass(frozen=True, slots=True)
class Checklist:
    """What has been done, for one project."""

    has_key: bool
    has_budget: bool
    has_recipient: bool

    @property
    def done(self) -> int:
        return sum((self.has_key, self.has_budget, self.has_recipient))


def checklist(project: Project) -> Checklist:
    return Checklist(
        has_key=IngestKey.objects.filter(project=project, revoked_at=None).exists(),
        has_budget=Budget.objects.filter(project=project, active=True).exists(),
        has_recipient=Recipient.objects.filter(project=project, active=True).exists(),
    )


def send_test_mail(project: Project, user: User) -> str:
    """Send a mail to the person who asks; return the address. Raises OSError or SMTPException when it cannot."""
    mail = EmailMessage(
        f"Test mail from LLM Vitals: {project.name}",
        f"This is how alerts of {project.name} will reach you.\n\nNothing is wrong: {user} asked for this mail.\n",
        to=[user.email],
    )
    mail.send()
    return user.email
