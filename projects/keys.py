"""Keys: minted, shown once, checked, revoked.

A key is `llv_ing_<id>_<secret>_<checksum>`, one that reads begins with `llv_read`. The prefix lets a scanner find a
leaked key, the checksum lets a mistyped one be refused without asking anybody. The secret has 256 random bits, so a
fast hash of it is enough: there is nothing to guess.
"""

import hashlib
import re
import secrets
import zlib
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import Final, NamedTuple, TypeVar

from django.contrib.auth.models import User
from django.db.models import Q

from projects.models import IngestKey, Key, Project, ReadKey

CACHED_FOR: Final = timedelta(seconds=5)
"""A revoked key is refused everywhere after this long."""

_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_TOKEN: Final = re.compile(r"((llv_[a-z]+)_([0-9A-Za-z]{10})_([0-9A-Za-z]{43}))_([0-9A-Za-z]{6})", re.ASCII)
_NAMES: Final[dict[type[Key], str]] = {IngestKey: "an ingest key", ReadKey: "a read key"}
_USED_WRITTEN_EVERY: Final = timedelta(minutes=1)
# A stranger can make up ids for ever; the cache cannot grow for ever.
_MOST_CACHED: Final = 10_000
# What the secret of an unknown key is compared with, so that a miss takes as long as a hit.
_NOBODY: Final = bytes(32)


class KeyFormatError(ValueError):
    """The text is not a key of ours, or it is mistyped."""


class _Cached(NamedTuple):
    read_at: datetime
    key: Key | None


_cache: Final[dict[tuple[type[Key], str], _Cached]] = {}
K = TypeVar("K", bound=Key)


def mint(
    project: Project,
    environment: str,
    *,
    created_by: User | None = None,
    expires_at: datetime | None = None,
    label: str = "",
) -> tuple[IngestKey, str]:
    """A new ingest key and its full text. The text is returned here and never again: only a digest is stored."""
    return mint_of(IngestKey, project, environment, created_by=created_by, expires_at=expires_at, label=label)


def mint_of(
    kind: type[K],
    project: Project,
    environment: str,
    *,
    created_by: User | None = None,
    expires_at: datetime | None = None,
    label: str = "",
) -> tuple[K, str]:
    """A new key of this kind and its full text, which is returned here and never again."""
    key_id, secret = _random(10), _random(43)
    key = kind._default_manager.create(
        project=project,
        environment=environment,
        label=label,
        key_id=key_id,
        digest=_digest(secret),
        created_by=created_by,
        expires_at=expires_at,
    )
    signed = f"{kind.PREFIX}_{key_id}_{secret}"
    return key, f"{signed}_{_checksum(signed)}"


def revoke(key: Key, now: datetime) -> None:
    """Ends a key: here at once, in other processes within CACHED_FOR. Revoking twice keeps the first time."""
    type(key)._default_manager.filter(pk=key.pk, revoked_at=None).update(revoked_at=now)
    key.refresh_from_db(fields=["revoked_at"])
    _cache.pop((type(key), key.key_id), None)


def parse(token: str, kind: type[Key] = IngestKey) -> tuple[str, str]:
    """The (key id, secret) of a key's text. Raises KeyFormatError; asks no database."""
    match = _TOKEN.fullmatch(token)
    if match is None or match[2] != kind.PREFIX:
        raise KeyFormatError(
            f"This is not {_NAMES[kind]}. A key looks like {kind.PREFIX}_…; check that it was copied whole."
        )
    signed, _, key_id, secret, checksum = match.groups()
    if checksum != _checksum(signed):
        raise KeyFormatError("The key is mistyped: its checksum does not match. Copy it again.")
    return key_id, secret


def verify(token: str, now: datetime) -> IngestKey | None:
    """The live ingest key with its project, or None: unknown, wrong secret, revoked or expired.

    Raises KeyFormatError.
    """
    return verify_of(IngestKey, token, now)


def verify_of(kind: type[K], token: str, now: datetime) -> K | None:
    """The live key of this kind with its project, or None. Raises KeyFormatError."""
    key_id, secret = parse(token, kind)
    key = _read(kind, key_id, now)
    is_right = compare_digest(_digest(secret), _NOBODY if key is None else bytes(key.digest))
    if key is None or not is_right or not key.is_live(now):
        return None
    _note_use(key, now)
    return key


def _read(kind: type[K], key_id: str, now: datetime) -> K | None:
    cached = _cache.get((kind, key_id))
    # A clock that was set back must not keep a revoked key alive.
    if cached is not None and abs(now - cached.read_at) < CACHED_FOR:
        assert cached.key is None or isinstance(cached.key, kind)
        return cached.key
    key = kind._default_manager.select_related("project").filter(key_id=key_id).first()
    if len(_cache) >= _MOST_CACHED:
        _cache.clear()
    _cache[kind, key_id] = _Cached(now, key)
    return key


def _note_use(key: Key, now: datetime) -> None:
    """Writes `last_used_at` once a minute; the condition lets only one of many processes do it."""
    if key.last_used_at is not None and now - key.last_used_at < _USED_WRITTEN_EVERY:
        return
    old = Q(last_used_at=None) | Q(last_used_at__lte=now - _USED_WRITTEN_EVERY)
    type(key)._default_manager.filter(old, pk=key.pk).update(last_used_at=now.replace(second=0, microsecond=0))
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
