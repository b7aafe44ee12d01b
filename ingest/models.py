"""The shape of what is stored. Calls and bodies are partitioned tables made by SQL (migrations/0002_storage.py)."""

from datetime import datetime
from decimal import Decimal

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q

from ingest.vocabulary import DimensionKind
from projects.models import Project

NANO_PER_DOLLAR = 1_000_000_000


class Dimension(models.Model):
    """A string that calls share (feature, model, …), stored once. Id 0 is no string at all and has no row."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE)
    kind = models.SmallIntegerField(help_text="ingest.vocabulary.DimensionKind")
    name = models.CharField(max_length=200)
    first_seen_at = models.DateTimeField(
        null=True, help_text="The earliest call of the batch that brought the name; empty before migration 0009."
    )

    class Meta:
        db_table = "dim"
        constraints = [models.UniqueConstraint(fields=["project", "kind", "name"], name="dim_once")]
        indexes = [
            # "the releases and prompt versions that were new in this range"
            models.Index(
                fields=["project", "first_seen_at"],
                condition=Q(kind__in=(DimensionKind.PROMPT_VERSION.value, DimensionKind.RELEASE.value)),
                name="dim_first_seen",
            )
        ]

    def __str__(self) -> str:
        return self.name


class FailureGroup(models.Model):
    """What failed calls have in common that probably have one cause, stored once and never changed."""

    # The constraint begins with it, and serves as its index.
    project = models.ForeignKey(Project, on_delete=models.CASCADE, db_index=False)
    error = models.SmallIntegerField(help_text="ingest.vocabulary.ErrorCategory")
    template = models.CharField(max_length=200, help_text="ingest.message_template")
    prompt_type_id = models.IntegerField(help_text="In dim; 0 is none.")
    prompt_version_id = models.IntegerField(help_text="In dim; 0 is none.")

    class Meta:
        db_table = "failure_group"
        constraints = [
            models.UniqueConstraint(
                fields=["project", "error", "prompt_type_id", "prompt_version_id", "template"],
                name="failure_group_once",
            )
        ]

    def __str__(self) -> str:
        return self.template


class Price(models.Model):
    """What one model costs from `effective_from` on, in nano-dollars per token (1 $/MTok = 1,000).

    The row with the newest `effective_from` that is not after the call applies. Long-prompt columns apply to *all*
    tokens of a call whose total input is above the threshold. Ratios are exact decimals.
    """

    provider = models.CharField(max_length=32, default="anthropic")
    model = models.CharField(max_length=100, help_text="Model id without its date, for example claude-sonnet-5-5.")
    effective_from = models.DateTimeField(help_text="UTC, inclusive.")
    effective_until = models.DateTimeField(
        null=True, blank=True, help_text="UTC, exclusive; empty: until the next row."
    )
    input = models.BigIntegerField(validators=[MinValueValidator(0)])
    output = models.BigIntegerField(validators=[MinValueValidator(0)])
    cache_read = models.BigIntegerField(validators=[MinValueValidator(0)])
    cache_write_5m = models.BigIntegerField(validators=[MinValueValidator(0)])
    cache_write_1h = models.BigIntegerField(validators=[MinValueValidator(0)])
    long_threshold = models.IntegerField(null=True, blank=True, help_text="Tokens; above it the long columns apply.")
    long_input = models.BigIntegerField(null=True, blank=True)
    long_output = models.BigIntegerField(null=True, blank=True)
    long_cache_read = models.BigIntegerField(null=True, blank=True)
    long_cache_write_5m = models.BigIntegerField(null=True, blank=True)
    long_cache_write_1h = models.BigIntegerField(null=True, blank=True)
    batch_multiplier = models.DecimalField(max_digits=6, decimal_places=4, default=Decimal("0.5"))
    fast_multiplier = models.DecimalField(
        max_digits=6, decimal_places=4, null=True, blank=True, help_text="Empty: the model has no fast mode."
    )
    us_multiplier = models.DecimalField(
        max_digits=6, decimal_places=4, default=Decimal(1), help_text="For inference_geo us."
    )
    web_search = models.BigIntegerField(default=10_000_000, help_text="Nano-dollars per web search.")
    source = models.CharField(max_length=300, help_text="Where the figures were read.")
    verified_at = models.DateField()

    class Meta:
        ordering = ["model", "-effective_from"]
        constraints = [
            models.UniqueConstraint(fields=["provider", "model", "effective_from"], name="price_once"),
            models.CheckConstraint(
                name="price_long_columns_together",
                condition=Q(
                    long_threshold__isnull=True,
                    long_input__isnull=True,
                    long_output__isnull=True,
                    long_cache_read__isnull=True,
                    long_cache_write_5m__isnull=True,
                    long_cache_write_1h__isnull=True,
                )
                | Q(
                    long_threshold__isnull=False,
                    long_input__isnull=False,
                    long_output__isnull=False,
                    long_cache_read__isnull=False,
                    long_cache_write_5m__isnull=False,
                    long_cache_write_1h__isnull=False,
                ),
            ),
            models.CheckConstraint(
                name="price_until_after_from",
                condition=Q(effective_until__isnull=True) | Q(effective_until__gt=F("effective_from")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model} from {self.effective_from:%Y-%m-%d}"

    def applies_at(self, at: datetime) -> bool:
        return self.effective_from <= at and (self.effective_until is None or at < self.effective_until)


class RequestLog(models.Model):
    """One logical call. Read-only here: rows are written by `ingest.store` and dropped with their day."""

    id = models.UUIDField(primary_key=True)
    project = models.ForeignKey(Project, on_delete=models.DO_NOTHING, db_constraint=False)
    started_at = models.DateTimeField()
    received_at = models.DateTimeField()
    cost_nanousd = models.BigIntegerField(null=True)
    infra_nanousd = models.BigIntegerField()
    price_id = models.IntegerField(null=True)
    digest = models.BigIntegerField()
    trace_id = models.UUIDField(null=True)
    span_id = models.BigIntegerField(null=True)
    environment_id = models.IntegerField()
    feature_id = models.IntegerField()
    prompt_type_id = models.IntegerField()
    prompt_version_id = models.IntegerField()
    model_id = models.IntegerField()
    requested_model_id = models.IntegerField()
    flags = models.IntegerField()
    duration_ms = models.IntegerField()
    ttft_ms = models.IntegerField(null=True)
    queue_ms = models.IntegerField(null=True)
    input_tokens = models.IntegerField()
    output_tokens = models.IntegerField()
    cache_read_tokens = models.IntegerField()
    cache_write_5m_tokens = models.IntegerField()
    cache_write_1h_tokens = models.IntegerField()
    requests_limit = models.IntegerField(null=True)
    requests_remaining = models.IntegerField(null=True)
    input_limit = models.IntegerField(null=True)
    input_remaining = models.IntegerField(null=True)
    output_limit = models.IntegerField(null=True)
    output_remaining = models.IntegerField(null=True)
    outcome = models.SmallIntegerField()
    error = models.SmallIntegerField()
    source = models.SmallIntegerField()
    attempts = models.SmallIntegerField()
    http_status = models.SmallIntegerField(null=True)
    stop_reason = models.SmallIntegerField(null=True)
    latency_bucket = models.SmallIntegerField()
    ttft_bucket = models.SmallIntegerField(null=True)
    web_searches = models.SmallIntegerField()
    user_id = models.TextField(null=True)
    session_id = models.TextField(null=True)
    request_id = models.TextField(null=True)
    error_message = models.TextField(null=True)
    detail = models.JSONField(null=True)
    valid = models.SmallIntegerField(null=True)
    repairs = models.SmallIntegerField(null=True)
    hashes = models.BinaryField(null=True)
    # NULL in calls stored before migration 0006: theirs are in `detail`.
    app_id = models.IntegerField(null=True)
    release_id = models.IntegerField(null=True)
    sdk_id = models.IntegerField(null=True)
    key_id = models.IntegerField(null=True)
    # NULL in calls that did not fail; in failures stored before migration 0012 until `ingest.ungrouped` was there.
    failure_group_id = models.IntegerField(null=True)

    class Meta:
        managed = False
        db_table = "request_log"

    def __str__(self) -> str:
        return str(self.id)


class RequestBody(models.Model):
    """The prompt and response of a call, after redaction: personal data with a retention of its own."""

    id = models.UUIDField(primary_key=True)
    project = models.ForeignKey(Project, on_delete=models.DO_NOTHING, db_constraint=False)
    dictionary_id = models.SmallIntegerField()
    body = models.BinaryField()

    class Meta:
        managed = False
        db_table = "request_body"
        # Reading a body needs a permission of its own (the group "content reader").
        default_permissions = ("view",)

    def __str__(self) -> str:
        return str(self.id)


class BodyDictionary(models.Model):
    """A zstd dictionary trained on a project's bodies. Kept for ever: old bodies need it."""

    id = models.SmallAutoField(primary_key=True)
    project = models.ForeignKey(Project, on_delete=models.CASCADE)
    trained_at = models.DateTimeField()
    dictionary = models.BinaryField()

    class Meta:
        db_table = "body_dictionary"

    def __str__(self) -> str:
        return f"{self.project} {self.id}"


class Quarantined(models.Model):
    """An event whose id lies outside the days that can be stored. Kept as it came, never lost, never counted."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE)
    event_id = models.UUIDField()
    received_at = models.DateTimeField()
    reason = models.CharField(max_length=200)
    event = models.BinaryField(help_text="The event's JSON, as received.")

    class Meta:
        db_table = "quarantine"
        verbose_name_plural = "quarantined events"
        constraints = [models.UniqueConstraint(fields=["project", "event_id"], name="quarantine_once")]

    def __str__(self) -> str:
        return f"{self.event_id}: {self.reason}"


class ClientInstance(models.Model):
    """One run of one client process, as its last batch reported it. Loss is a number here, not a guess."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE)
    instance = models.CharField(max_length=64, help_text="The process, as the client named it.")
    boot_id = models.UUIDField(help_text="Minted at each start of the process.")
    sdk = models.CharField(max_length=64, blank=True)
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    emitted = models.BigIntegerField(default=0, help_text="Events the process has made since its start.")
    dropped = models.JSONField(default=dict, help_text="Events it gave up, by reason, since its start.")
    # The database knows the default, too: a process of the version before goes on while this one is brought in.
    guards = models.JSONField(
        default=dict, db_default={}, help_text="Breaker and limiter of each group of models, as last told."
    )
    received = models.BigIntegerField(
        null=True, help_text="Its events that arrived here; empty for a process first seen before they were counted."
    )

    class Meta:
        db_table = "client_instance"
        constraints = [models.UniqueConstraint(fields=["project", "instance", "boot_id"], name="client_instance_once")]
        indexes = [models.Index(fields=["project", "-last_seen_at"], name="client_instance_seen")]

    def __str__(self) -> str:
        return self.instance


class BreakerTransition(models.Model):
    """A client stopped the calls to a group of models, let some through again, or all."""

    pk = models.CompositePrimaryKey("project", "boot_id", "group", "at")
    # The key begins with it, and serves as its index.
    project = models.ForeignKey(Project, on_delete=models.CASCADE, db_index=False)
    boot_id = models.UUIDField(help_text="Of the process, as in client_instance.")
    group = models.CharField(max_length=100, help_text="The models that share a breaker, as the client calls them.")
    at = models.DateTimeField(help_text="By the client's clock.")
    instance = models.CharField(max_length=64)
    before = models.SmallIntegerField(help_text="ingest.vocabulary.BreakerState")
    after = models.SmallIntegerField(help_text="ingest.vocabulary.BreakerState")
    reason = models.CharField(max_length=200, blank=True)
    retry_in_ms = models.IntegerField(null=True)

    class Meta:
        db_table = "breaker_transition"
        # "what changed in this range", newest first
        indexes = [models.Index(fields=["project", "-at"], name="breaker_transition_at")]

    def __str__(self) -> str:
        return f"{self.group} at {self.at:%Y-%m-%d %H:%M:%S}"


class ProviderLimit(models.Model):
    """What the provider's Rate Limits API says this installation's organisation may use, as last read."""

    pk = models.CompositePrimaryKey("group", "limiter")
    group = models.CharField(max_length=100, help_text="The models that share it, as ingest.model_groups names them.")
    limiter = models.CharField(max_length=16, help_text="requests, input or output; per minute.")
    value = models.BigIntegerField()
    read_at = models.DateTimeField()

    class Meta:
        db_table = "provider_limit"

    def __str__(self) -> str:
        return f"{self.group} {self.limiter}"


class Score(models.Model):
    """What somebody thought of an answer: a number or a word under a name, told at any time. The newest counts."""

    pk = models.CompositePrimaryKey("project", "call_id", "name")
    # The key begins with it, and serves as its index.
    project = models.ForeignKey(Project, on_delete=models.CASCADE, db_index=False)
    call_id = models.UUIDField(help_text="The call may arrive later, or never.")
    name = models.CharField(max_length=64)
    value = models.FloatField(null=True)
    label = models.CharField(max_length=200, null=True)
    comment = models.CharField(max_length=500, null=True)
    at = models.DateTimeField(help_text="By the clock of whoever told it.")
    received_at = models.DateTimeField()

    class Meta:
        db_table = "score"
        constraints = [
            models.CheckConstraint(
                name="score_number_or_word",
                condition=Q(value__isnull=False, label__isnull=True) | Q(value__isnull=True, label__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return self.name


class SealedDay(models.Model):
    """A day whose partition has been reindexed and frozen after its calls stopped arriving."""

    day = models.DateField(primary_key=True)
    sealed_at = models.DateTimeField()

    class Meta:
        db_table = "sealed_day"

    def __str__(self) -> str:
        return f"{self.day:%Y-%m-%d}"
