"""The heartbeat out: while the product does its work, a monitor elsewhere is told so every minute.

It cannot report its own death, so it reports its life: no numbers rolled up, no rule judged or no mail sent means no
heartbeat, and the monitor tells people. The address is a secret of the monitor and is never written down.
"""

import logging
from datetime import datetime, timedelta
from http.client import HTTPException, HTTPMessage
from typing import IO, Final
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from django.conf import settings

from alerting.outbox import outbox
from config.models import Job
from dashboard import health

log = logging.getLogger(__name__)

TIMEOUT: Final = 2.0  # seconds
FRESH: Final = timedelta(minutes=5)
"""Evaluation and delivery run every few seconds; after this long without an end they are taken for dead."""
_WATCHED: Final = ("evaluate", "deliver")


class HeartbeatError(Exception):
    """The monitor did not take the heartbeat. The text names no address."""


def send(*, now: datetime) -> bool:
    """Tell the monitor in HEARTBEAT_URL that all is well; False when there is none, or all is not well.

    Raises HeartbeatError when the monitor does not answer with success.
    """
    if not settings.HEARTBEAT_URL:
        return False
    if reasons := stale(now):
        log.warning("No heartbeat: %s", "; ".join(reasons))
        return False
    _get(settings.HEARTBEAT_URL)
    return True


def stale(now: datetime) -> list[str]:
    """Return what is not as fresh as it should be, in words."""
    said = [f"{part} is {state}" for part, state in health.ready(now).items() if state != "ok"]
    ran = {job.name: job for job in Job.objects.filter(name__in=_WATCHED)}
    for name in _WATCHED:
        job = ran.get(name)
        if job is None or job.finished_at is None or now - job.finished_at > FRESH:
            said.append(f"{name} has not ended a run for {FRESH.seconds // 60} minutes")
        elif job.failures:
            said.append(f"{name} fails")
    if outbox(now).is_stuck(now):
        said.append("mails are not sent")
    return said


class _SameHost(HTTPRedirectHandler):
    """Follows a redirect to the host that was asked, and to no other: the address is its secret."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        if urlsplit(newurl)[:2] != urlsplit(req.full_url)[:2]:
            raise HeartbeatError(f"The monitor in HEARTBEAT_URL answered {code} and sent us elsewhere.")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _get(url: str) -> None:
    if urlsplit(url).scheme not in ("http", "https"):
        raise HeartbeatError("HEARTBEAT_URL must begin with http:// or https://.")
    try:
        request = Request(url, headers={"User-Agent": "llm-vitals"})  # noqa: S310 - the scheme was looked at
        with build_opener(_SameHost()).open(request, timeout=TIMEOUT):
            pass
    except HTTPError as error:
        error.close()
        raise HeartbeatError(f"The monitor in HEARTBEAT_URL answered {error.code}.") from None
    except (OSError, HTTPException, ValueError) as error:
        # The errors of urllib quote the address.
        raise HeartbeatError(f"The monitor in HEARTBEAT_URL cannot be reached: {type(error).__name__}.") from None
