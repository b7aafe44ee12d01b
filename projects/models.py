"""Who: the project that calls belong to, the keys that may write to it, the people it writes to, and what was done."""

from datetime import datetime
from typing import ClassVar

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models


class Project(models.Model):
    """One product or team. Every stored row belongs to exactly one project."""

    slug = models.SlugField(max_length=64, unique=True)
    name = models.CharField(max_length=120)
    created_at = models.DateTimeField(auto_now_add=True)
    # The fully loaded cost of a call adds these to the provider's price.
    infra_nanousd_per_request = models.BigIntegerField(
        default=0, validators=[MinValueValidator(0)], help_text="Own infrastructure, in nano-dollars per request."
    )
    infra_nanousd_per_token = models.BigIntegerField(
        default=0, validators=[MinValueValidator(0)], help_text="Own infrastructure, in nano-dollars per token."
    )

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Key(models.Model):
    """What all keys have. Only a digest of the secret is kept."""

    PREFIX: ClassVar[str]
    """What the text of the key begins with; a scanner finds leaked ones by it."""

    project: "models.ForeignKey[Project, Project]"
    environment: "models.CharField[str, str]"
    label = models.CharField(max_length=120, blank=True, help_text="Where this key is used.")
    key_id = models.CharField(max_length=10, unique=True, editable=False, help_text="The public part of the key.")
    digest = models.BinaryField(max_length=32, editable=False, help_text="SHA-256 of the secret part.")
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="UTC; empty means the key does not expire.")
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(null=True, editable=False, help_text="To the minute.")

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.PREFIX}_{self.key_id}_…"

    def is_live(self, now: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class IngestKey(Key):
    """A key that may write events to one project and one environment, and read nothing."""

    PREFIX = "llv_ing"

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="ingest_keys")
    environment = models.CharField(max_length=64, default="production")

    class Meta:
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["project", "-created_at"], name="ingestkey_project")]


class ReadKey(Key):
    """A key that may read the numbers of one project, or of one environment of it, and write nothing."""

    PREFIX = "llv_read"

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="read_keys")
    environment = models.CharField(max_length=64, blank=True, help_text="Empty: all environments.")

    class Meta:
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["project", "-created_at"], name="readkey_project")]


class Recipient(models.Model):
    """A person or list that alert mails go to."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="recipients")
    name = models.CharField(max_length=120, blank=True)
    email = models.EmailField()
    active = models.BooleanField(default=True)

    class Meta:
        ordering = ["email"]
        constraints = [models.UniqueConstraint(fields=["project", "email"], name="recipient_once_per_project")]

    def __str__(self) -> str:
        return f"{self.name} <{self.email}>" if self.name else self.email


class Annotation(models.Model):
    """A change that people or their tools tell, drawn into the charts: a deploy, an incident, a note."""

    class Kind(models.TextChoices):
        DEPLOY = "deploy", "Deploy"
        CONFIG = "config", "Configuration"
        INCIDENT = "incident", "Incident"
        NOTE = "note", "Note"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="annotations")
    at = models.DateTimeField(help_text="UTC; when the change took effect.")
    kind = models.CharField(max_length=16, choices=Kind.choices, default=Kind.DEPLOY)
    title = models.CharField(max_length=120)
    detail = models.CharField(max_length=500, blank=True)
    link = models.URLField(max_length=500, blank=True, help_text="http:// or https://")
    environment = models.CharField(max_length=64, blank=True, help_text="Empty: all environments together.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-at"]
        # A tool that tells the same once more changes nothing; the index of it also finds those of a range.
        constraints = [
            models.UniqueConstraint(fields=["project", "at", "kind", "title", "environment"], name="annotation_once")
        ]

    def __str__(self) -> str:
        return self.title


class AuditEvent(models.Model):
    """Something a person did that must stay answerable: reading a prompt, making a key. Never changed, never bodies."""

    at = models.DateTimeField(auto_now_add=True)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True)
    action = models.CharField(max_length=64, help_text="verb.noun, for example read.body or create.key")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, null=True)
    target = models.CharField(max_length=200)

    class Meta:
        ordering = ["-at"]
        indexes = [models.Index(fields=["project", "-at"], name="audit_project")]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.action} {self.target}"


class SignInTries(models.Model):
    """How often somebody tried to sign in until now, see `projects.throttle`. Short-lived."""

    digest = models.CharField(max_length=64, primary_key=True, help_text="Of the name and the address, never they.")
    tries = models.PositiveIntegerField()
    until = models.DateTimeField(db_index=True, help_text="The end of the window, after which the tries are forgotten.")

    class Meta:
        db_table = "sign_in_tries"

    def __str__(self) -> str:
        return f"{self.tries} tries until {self.until:%Y-%m-%d %H:%M}"
