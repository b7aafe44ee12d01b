"""Ingest keys: minted, shown once, checked, revoked.

A key is `llv_ing_<id>_<secret>_<checksum>`. The prefix lets a scanner find a leaked key, the checksum lets a mistyped
one be refused without asking anybody. The secret has 256 random bits, so a fast hash of it is enough: there is nothing
to guess.
"""

import hashlib
import re
import secrets
import zlib
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import Final, NamedTuple

from django.contrib.auth.models import User
from django.db.models import Q

from projects.models import IngestKey, Project

CACHED_FOR: Final = timedelta(seconds=5)
"""A revoked key is refused everywhere after this long."""

_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PREFIX: Final = "llv_ing"
_TOKEN: Final = re.compile(rf"({_PREFIX}_([0-9A-Za-z]{{10}})_([0-9A-Za-z]{{43}}))_([0-9A-Za-z]{{6}})", re.ASCII)
_USED_WRITTEN_EVERY: Final = timedelta(minutes=1)
# A stranger can make up ids for ever; the cache cannot grow for ever.
_MOST_CACHED: Final = 10_000
# What the secret of an unknown key is compared with, so that a miss takes as long as a hit.
_NOBODY: Final = bytes(32)


class KeyFormatError(ValueError):
    """The text is not a key of ours, or it is mistyped."""


class _Cached(NamedTuple):
    read_at: datetime
    key: IngestKey | None


_cache: Final[dict[str, _Cached]] = {}


def mint(
    project: Project,
    environment: str,
    *,
    created_by: User | None = None,
    expires_at: datetime | None = None,
    label: str = "",
) -> tuple[IngestKey, str]:
    """A new key and its full text. The text is returned here and never again: only a digest is stored."""
    key_id, secret = _random(10), _random(43)
    key = IngestKey.objects.create(
        project=project,
        environment=environment,
        label=label,
        key_id=key_id,
        digest=_digest(secret),
        created_by=created_by,
        expires_at=expires_at,
    )
    signed = f"{_PREFIX}_{key_id}_{secret}"
    return key, f"{signed}_{_checksum(signed)}"


def revoke(key: IngestKey, now: datetime) -> None:
    """Ends a key: here at once, in other processes within CACHED_FOR. Revoking twice keeps the first time."""
    IngestKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=now)
    key.refresh_from_db(fields=["revoked_at"])
    _cache.pop(key.key_id, None)


def parse(token: str) -> tuple[str, str]:
    """The (key id, secret) of a key's text. Raises KeyFormatError; asks no database."""
    match = _TOKEN.fullmatch(token)
    if match is None:
        raise KeyFormatError("This is not an ingest key. A key looks like llv_ing_…; check that it was copied whole.")
    signed, key_id, secret, checksum = match.groups()
    if checksum != _checksum(signed):
        raise KeyFormatError("The key is mistyped: its checksum does not match. Copy it again.")
    return key_id, secret


def verify(token: str, now: datetime) -> IngestKey | None:
    """The live key with its project, or None: unknown, wrong secret, revoked or expired. Raises KeyFormatError."""
    key_id, secret = parse(token)
    key = _read(key_id, now)
    is_right = compare_digest(_digest(secret), _NOBODY if key is None else bytes(key.digest))
    if key is None or not is_right or not key.is_live(now):
        return None
    _note_use(key, now)
    return key


def _read(key_id: str, now: datetime) -> IngestKey | None:
    cached = _cache.get(key_id)
    # A clock that was set back must not keep a revoked key alive.
    if cached is not None and abs(now - cached.read_at) < CACHED_FOR:
        return cached.key
    key = IngestKey.objects.select_related("project").filter(key_id=key_id).first()
    if len(_cache) >= _MOST_CACHED:
        _cache.clear()
    _cache[key_id] = _Cached(now, key)
    return key


def _note_use(key: IngestKey, now: datetime) -> None:
    """Writes `last_used_at` once a minute; the condition lets only one of many processes do it."""
    if key.last_used_at is not None and now - key.last_used_at < _USED_WRITTEN_EVERY:
        return
    old = Q(last_used_at=None) | Q(last_used_at__lte=now - _USED_WRITTEN_EVERY)
    IngestKey.objects.filter(old, pk=key.pk).update(last_used_at=now.replace(second=0, microsecond=0))
    key.last_used_at = now  # the copy in the cache: this process has done its write for this minute


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _checksum(signed: str) -> str:
    number = zlib.crc32(signed.encode())
    digits = ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = _ALPHABET[digit] + digits
    return digits
