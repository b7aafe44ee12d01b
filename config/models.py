"""When each periodic job is due, and who is running it."""

from django.db import models


class Job(models.Model):
    """One row per entry of `config.jobs.JOBS`. The row is the queue and the clock; Celery only wakes a worker."""

    name = models.CharField(max_length=64, primary_key=True)
    due_at = models.DateTimeField(help_text="The next run may start at this time.")
    lease_until = models.DateTimeField(null=True, help_text="Until then one worker runs it; empty when nobody does.")
    fence = models.BigIntegerField(
        default=0, help_text="Grows with every claim; a worker that lost its lease cannot report."
    )
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    duration_ms = models.IntegerField(null=True)
    failures = models.IntegerField(default=0, help_text="Failed runs in a row.")
    last_error = models.TextField(blank=True)

    class Meta:
        # run_due asks for the jobs that are due, oldest first.
        indexes = [models.Index(fields=["due_at"], name="job_due")]

    def __str__(self) -> str:
        return self.name
