"""Rules, the alerts they raise, each step an alert took, and the messages owed for those steps."""

from decimal import Decimal
from typing import Final

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q

from budgets.models import Severity, Threshold
from projects.models import Project, Recipient


class AlertRule(models.Model):
    """A metric of a slice, watched over a window, against a threshold with hysteresis.

    Thresholds are written in the metric's display unit: percent for rates, milliseconds for latency, dollars for
    spend. A rule recovers when the value is on the good side of `recovery_threshold` for `keep_firing_minutes`.
    """

    class Direction(models.TextChoices):
        ABOVE = "above", "is above"
        BELOW = "below", "is below"

    class NoData(models.TextChoices):
        KEEP = "keep", "keep the state"
        OK = "ok", "treat as fine"
        ALERT = "alert", "raise the alert"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="alert_rules")
    name = models.CharField(max_length=120)
    metric = models.CharField(max_length=64, help_text="A key of metrics.catalog.METRICS that rules may watch.")
    environment = models.CharField(max_length=64, blank=True, help_text="Empty: all environments together.")
    feature = models.CharField(max_length=200, blank=True, help_text="Empty: the whole project.")
    window_minutes = models.PositiveIntegerField(default=5, validators=[MinValueValidator(1)])
    direction = models.CharField(max_length=8, choices=Direction.choices, default=Direction.ABOVE)
    threshold = models.DecimalField(max_digits=18, decimal_places=6)
    recovery_threshold = models.DecimalField(max_digits=18, decimal_places=6)
    for_minutes = models.PositiveIntegerField(default=2, help_text="How long it must hold before the alert fires.")
    keep_firing_minutes = models.PositiveIntegerField(
        default=5, help_text="How long it must be good before it resolves."
    )
    minimum_sample = models.PositiveIntegerField(default=30, help_text="With fewer requests in the window: no data.")
    no_data = models.CharField(max_length=8, choices=NoData.choices, default=NoData.KEEP)
    severity = models.CharField(max_length=8, choices=Severity.choices, default=Severity.WARNING)
    recipients = models.ManyToManyField(Recipient, blank=True)
    enabled = models.BooleanField(default=True)
    last_evaluated_at = models.DateTimeField(null=True, editable=False)
    last_error = models.CharField(max_length=300, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["project", "name"]
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="rule_name_once"),
            models.CheckConstraint(
                name="rule_recovery_on_the_good_side",
                condition=Q(direction="above", recovery_threshold__lte=F("threshold"))
                | Q(direction="below", recovery_threshold__gte=F("threshold")),
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Alert(models.Model):
    """One episode of one rule or of one budget threshold: from the first breach until it is over."""

    class State(models.TextChoices):
        PENDING = "pending", "Pending"
        FIRING = "firing", "Firing"
        RECOVERING = "recovering", "Recovering"
        RESOLVED = "resolved", "Resolved"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="alerts")
    rule = models.ForeignKey(AlertRule, on_delete=models.SET_NULL, null=True, related_name="alerts")
    threshold = models.ForeignKey(Threshold, on_delete=models.SET_NULL, null=True, related_name="alerts")
    # What is watched, as text, so that the episode outlives the rule. Unique among open alerts.
    subject = models.CharField(max_length=300, help_text="rule:<id>, or budget:<id>:<percent>:<period start>")
    title = models.CharField(max_length=300)
    severity = models.CharField(max_length=8, choices=Severity.choices)
    state = models.CharField(max_length=12, choices=State.choices)
    seq = models.IntegerField(default=0, help_text="Number of transitions so far.")
    since = models.DateTimeField(help_text="When the present state began.")
    opened_at = models.DateTimeField()
    fired_at = models.DateTimeField(null=True)
    resolved_at = models.DateTimeField(null=True)
    # As read at the last evaluation, in the metric's own unit (metrics.catalog).
    value = models.DecimalField(max_digits=24, decimal_places=6, null=True)
    peak = models.DecimalField(max_digits=24, decimal_places=6, null=True)
    limit = models.DecimalField(max_digits=24, decimal_places=6, default=Decimal(0))
    facts = models.JSONField(
        default=dict, help_text="What the page and the mail show: metric, window, slice, contributors."
    )

    class Meta:
        ordering = ["-opened_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "subject"], condition=~Q(state="resolved"), name="alert_one_open_per_subject"
            )
        ]
        indexes = [models.Index(fields=["project", "-opened_at"], name="alert_project")]

    def __str__(self) -> str:
        return self.title


# People have been told, and it is not over.
OPEN: Final = (Alert.State.FIRING, Alert.State.RECOVERING)


class Transition(models.Model):
    """One step of an alert. Written in the same transaction as the new state and the messages it calls for."""

    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, related_name="transitions")
    seq = models.IntegerField()
    at = models.DateTimeField()
    from_state = models.CharField(max_length=12)
    to_state = models.CharField(max_length=12)
    value = models.DecimalField(max_digits=24, decimal_places=6, null=True)
    why = models.CharField(max_length=300)

    class Meta:
        ordering = ["alert", "seq"]
        constraints = [models.UniqueConstraint(fields=["alert", "seq"], name="transition_once")]

    def __str__(self) -> str:
        return f"{self.from_state} to {self.to_state}"


class Notification(models.Model):
    """The outbox: one message owed to one recipient for one transition. Delivery leases rows and never invents them."""

    class Reason(models.TextChoices):
        FIRING = "firing", "Firing"
        RESOLVED = "resolved", "Resolved"

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        SENT = "sent", "Sent"
        DEAD = "dead", "Given up"

    transition = models.ForeignKey(Transition, on_delete=models.CASCADE, related_name="notifications")
    recipient = models.ForeignKey(Recipient, on_delete=models.CASCADE)
    channel = models.CharField(max_length=16, default="email")
    reason = models.CharField(max_length=8, choices=Reason.choices)
    # Stable over all tries, so that the receiving side can tell a repeat (it becomes the Message-ID).
    key = models.CharField(max_length=120, unique=True)
    state = models.CharField(max_length=8, choices=State.choices, default=State.WAITING)
    created_at = models.DateTimeField()
    available_at = models.DateTimeField(help_text="Not before this time.")
    lease_until = models.DateTimeField(null=True)
    tries = models.IntegerField(default=0)
    sent_at = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["created_at"]
        # deliver asks for what is waiting and due.
        indexes = [models.Index(fields=["state", "available_at"], name="notification_due")]

    def __str__(self) -> str:
        return self.key
