"""Guessing passwords is slow: tries to sign in are counted before the password is looked at, in one statement.

Counted are tries of one name from one address, and of all names from one address; who signs in is forgotten at once.
Names are kept as a digest only, because people type passwords into the wrong field.
"""

from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Any, Final

from django.conf import settings
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.db.models import F
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import salted_hmac

from projects.models import SignInTries

WINDOW: Final = timedelta(minutes=15)
MOST_OF_ONE_NAME: Final = 10
MOST_OF_ONE_ADDRESS: Final = 100

# Those who try at the same moment wait for the row, so no two of them are the tenth.
_COUNT: Final = """
INSERT INTO sign_in_tries AS kept (digest, tries, until)
VALUES (%(digest)s, 1, %(until)s)
    ON CONFLICT (digest) DO UPDATE
   SET tries = CASE WHEN kept.until <= %(now)s THEN 1 ELSE kept.tries + 1 END,
       until = CASE WHEN kept.until <= %(now)s THEN excluded.until ELSE kept.until END
RETURNING tries
"""


class ThrottledBackend(ModelBackend):
    """Django's own users and passwords, asked only while tries are left. Serves the pages and the admin alike."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> User | None:
        if request is None or username is None:
            return super().authenticate(request, username, password, **kwargs)
        address = address_of(request)
        if not admit(username, address, timezone.now()):
            request.is_throttled = True  # type: ignore[attr-defined]  # read by the form to sign in
            raise PermissionDenied
        user = super().authenticate(request, username, password, **kwargs)
        if user is not None:
            forget(username, address)
        return user


def admit(name: str, address: str, now: datetime) -> bool:
    """Counts a try and says whether it may be made. A window begins with the first try and is not made longer."""
    SignInTries.objects.filter(until__lte=now).delete()
    if _count(_of_address(address), now) > MOST_OF_ONE_ADDRESS:
        return False
    return _count(_of_name(name, address), now) <= MOST_OF_ONE_NAME


def forget(name: str, address: str) -> None:
    """The password was right: its try and the mistypings of its name count no more. Those of other names still do."""
    SignInTries.objects.filter(digest=_of_name(name, address)).delete()
    SignInTries.objects.filter(digest=_of_address(address), tries__gt=0).update(tries=F("tries") - 1)


def address_of(request: HttpRequest) -> str:
    """Where a request comes from; an IPv6 address as its /64, which is what one household has."""
    written = request.META.get("REMOTE_ADDR", "")
    if settings.BEHIND_TLS:
        # The last entry is the proxy's own word; those before it are the visitor's.
        written = request.headers.get("X-Forwarded-For", written).rpartition(",")[2].strip()
    try:
        address = ip_address(written)
    except ValueError:
        return ""
    return str(address) if address.version == 4 else str(ip_network((address, 64), strict=False))


def _count(digest: str, now: datetime) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, {"digest": digest, "now": now, "until": now + WINDOW})
        [(tries,)] = cursor.fetchall()
        return int(tries)


def _of_name(name: str, address: str) -> str:
    return salted_hmac("sign-in.name", f"{address}\n{name.casefold()}", algorithm="sha256").hexdigest()


def _of_address(address: str) -> str:
    return salted_hmac("sign-in.address", address, algorithm="sha256").hexdigest()
