"""What the tests of alerting share: a project with a rule and people, traffic in minutes, and a real mail server."""

import asyncio
import email
import email.policy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from alerting.evaluate import evaluate
from alerting.models import AlertRule
from metrics.rollup import roll_up_hours, roll_up_minutes
from projects.models import Project, Recipient
from tests import factories

BEGIN = datetime(2026, 11, 22, 13, 0, tzinfo=UTC)


def at(minute: float) -> datetime:
    """So many minutes after one o'clock."""
    return BEGIN + timedelta(minutes=minute)


def traffic(project: Project, minute: int, *, ok: int = 0, failed: int = 0, **overrides: Any) -> None:
    """Calls within one minute, stored while they happen."""
    start = at(minute)
    good = [factories.event(start + timedelta(milliseconds=10 * n), **overrides) for n in range(ok)]
    bad = [factories.failed(at=start + timedelta(milliseconds=10 * n + 5), **overrides) for n in range(failed)]
    if good or bad:
        factories.stored(project, *good, *bad, now=start + timedelta(seconds=30))


def judge(minute: int) -> int:
    """Roll up and evaluate, as the worker does a moment after the minute is over."""
    now = at(minute) + timedelta(seconds=5)
    roll_up_minutes(now=now)
    roll_up_hours(now=now)
    return evaluate(now=now)


@pytest.fixture
def project() -> Project:
    return factories.project("demo", name="Demo")


@pytest.fixture
def anna(project: Project) -> Recipient:
    return Recipient.objects.create(project=project, name="Anna", email="anna@example.com")


@pytest.fixture
def rule(project: Project) -> AlertRule:
    """Errors above 5 % in five minutes, held for two; over at 2 %, kept for three."""
    return AlertRule.objects.create(
        project=project,
        name="Many requests fail",
        metric="error_rate",
        threshold=Decimal(5),
        recovery_threshold=Decimal(2),
        window_minutes=5,
        for_minutes=2,
        keep_firing_minutes=3,
        minimum_sample=30,
        severity="critical",
    )


async def _aside(work: Callable[[], None]) -> None:
    """In a thread of its own: Django refuses to touch the database from an event loop."""
    await asyncio.get_running_loop().run_in_executor(None, work)


@dataclass
class MailServer:
    """A real SMTP server in a thread.

    `answers` are given to messages, oldest first, before it says yes; `refused` to recipients. `before_taking` is done
    instead of taking a message, `after_taking` between taking it and saying so.
    """

    controller: Controller | None = None
    received: list[EmailMessage] = field(default_factory=list)
    connections: int = 0
    answers: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    before_taking: Callable[[], None] | None = None
    after_taking: Callable[[], None] | None = None
    port: int = 0

    async def handle_EHLO(  # noqa: N802 the library's name
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        self.connections += 1
        session.host_name = hostname
        return responses

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.answers:
            return self.answers.pop(0)
        if self.before_taking is not None:
            await _aside(self.before_taking)
            return "451 the sender is gone"
        assert isinstance(envelope.content, bytes)
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        self.received.append(message)
        if self.after_taking is not None:
            await _aside(self.after_taking)
        return "250 OK"

    def start(self) -> None:
        """Listen, on the port of before when it was up already."""
        self.controller = Controller(self, hostname="127.0.0.1", port=self.port or _free_port(), ready_timeout=10)
        self.controller.start()
        self.port = self.controller.port

    def stop(self) -> None:
        if self.controller is not None:
            self.controller.stop()
            self.controller = None

    @property
    def subjects(self) -> list[str]:
        # Django folds a long encoded subject before its first word; readers take the space away.
        return [str(message["Subject"]).strip() for message in self.received]


def _free_port() -> int:
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture
def mail_server(settings: Any) -> Iterator[MailServer]:
    server = MailServer()
    server.start()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST = "127.0.0.1"
    settings.EMAIL_PORT = server.port
    settings.DEFAULT_FROM_EMAIL = "LLM Vitals <vitals@example.com>"
    yield server
    server.stop()
