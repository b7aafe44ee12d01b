"""Prompt and response as bytes on disk: JSON, compressed with zstandard and, once a project has one, its dictionary.

A dictionary is trained on a project's own bodies and makes most of them fit a page. It is never changed and never
deleted, because the bodies packed with it need it; id 0 means none.
"""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

import msgspec
import zstandard
from django.db import transaction

from ingest.models import BodyDictionary, RequestBody
from projects.models import Project

T = TypeVar("T")

LEVEL: Final = 3
LARGEST: Final = 8 * 1024 * 1024
"""Bytes of JSON, packed or not: what one request to the API may hold."""

NO_DICTIONARY: Final = 0
DICTIONARY_SIZE: Final = 64 * 1024
FEWEST_SAMPLES: Final = 1_000
MOST_SAMPLES: Final = 5_000
# A hundred times the dictionary is what the trainer asks for; more only takes longer.
MOST_SAMPLE_BYTES: Final = 100 * DICTIONARY_SIZE
# What prompts have in common is at their beginning.
SAMPLE_BYTES: Final = 16 * 1024
# Prompts change; ids are few (a smallint), so not every day.
TRAIN_EVERY: Final = timedelta(days=30)

FRESH_FOR: Final = timedelta(seconds=60)
# Contexts are about a megabyte each and belong to one thread: the library forbids sharing them.
_CONTEXTS_PER_THREAD: Final = 16


class BodyError(ValueError):
    """A body that is too large, or bytes that are not a packed body."""


class _Contexts(threading.local):
    def __init__(self) -> None:
        self.compressors: dict[int, zstandard.ZstdCompressor] = {}
        self.decompressors: dict[int, zstandard.ZstdDecompressor] = {}


_contexts: Final = _Contexts()
_dictionaries: Final[dict[int, zstandard.ZstdCompressionDict]] = {}
_newest: Final[dict[int, tuple[datetime, int]]] = {}


def pack(content: object, dictionary_id: int = NO_DICTIONARY) -> tuple[int, bytes]:
    """The content, a mapping or a msgspec struct, as (dictionary id, bytes). Raises BodyError over 8 MiB."""
    text = msgspec.json.encode(content)
    if len(text) > LARGEST:
        raise BodyError(f"content: {len(text):,} bytes of JSON; at most {LARGEST:,} can be stored")
    return dictionary_id, _context(_contexts.compressors, dictionary_id, _compressor).compress(text)


def unpack(dictionary_id: int, body: bytes | memoryview) -> dict[str, Any]:
    """The content that was packed. Raises BodyError when the bytes are damaged, DoesNotExist without its dictionary."""
    decompressor = _context(_contexts.decompressors, dictionary_id, _decompressor)
    try:
        parameters = zstandard.get_frame_parameters(body)
        if parameters.content_size > LARGEST:
            raise BodyError("body: larger than a body can be")
        content = msgspec.json.decode(decompressor.decompress(body, max_output_size=LARGEST), type=dict[str, Any])
    except (zstandard.ZstdError, msgspec.DecodeError) as error:
        raise BodyError(f"body: damaged ({error})") from error
    return content


def dictionary_for(project_id: int, *, now: datetime) -> int:
    """The dictionary new bodies of the project are packed with, 0 while there is none; at most a minute old."""
    kept = _newest.get(project_id)
    if kept is not None and abs(now - kept[0]) < FRESH_FOR:
        return kept[1]
    newest = BodyDictionary.objects.filter(project_id=project_id).order_by("-id").values_list("id", flat=True).first()
    found = NO_DICTIONARY if newest is None else newest
    _newest[project_id] = (now, found)
    return found


def train(project: Project, *, now: datetime) -> BodyDictionary | None:
    """Makes the project a dictionary from its newest bodies; None when it has a young one or too few bodies."""
    newest = BodyDictionary.objects.filter(project=project).order_by("-id").first()
    if newest is not None and now - newest.trained_at < TRAIN_EVERY:
        return None
    samples = _samples(project)
    if len(samples) < FEWEST_SAMPLES:
        return None
    try:
        trained = zstandard.train_dictionary(DICTIONARY_SIZE, samples, level=LEVEL)
    except zstandard.ZstdError:
        # The trainer may find nothing in common; then bodies are stored without a dictionary.
        return None
    dictionary = BodyDictionary.objects.create(project=project, trained_at=now, dictionary=trained.as_bytes())
    _newest.pop(project.pk, None)
    return dictionary


def _samples(project: Project) -> list[bytes | bytearray | memoryview]:
    """The beginnings of the newest bodies, up to a number and a size. Walks the primary key backwards and stops."""
    rows = RequestBody.objects.filter(project=project).order_by("-id").values_list("dictionary_id", "body")
    samples: list[bytes | bytearray | memoryview] = []
    size = 0
    # In a transaction the cursor reads as it goes; few at a time, because one body may have megabytes.
    with transaction.atomic():
        for dictionary_id, body in rows[:MOST_SAMPLES].iterator(chunk_size=20):
            try:
                sample = msgspec.json.encode(unpack(dictionary_id, body))[:SAMPLE_BYTES]
            except BodyError:
                continue
            samples.append(sample)
            size += len(sample)
            if size >= MOST_SAMPLE_BYTES and len(samples) >= FEWEST_SAMPLES:
                break
    return samples


def _context(kept: dict[int, T], dictionary_id: int, make: Callable[[int], T]) -> T:
    context = kept.get(dictionary_id)
    if context is None:
        if len(kept) >= _CONTEXTS_PER_THREAD:
            kept.clear()
        context = kept[dictionary_id] = make(dictionary_id)
    return context


def _compressor(dictionary_id: int) -> zstandard.ZstdCompressor:
    if dictionary_id == NO_DICTIONARY:
        return zstandard.ZstdCompressor(level=LEVEL)
    return zstandard.ZstdCompressor(level=LEVEL, dict_data=_dictionary(dictionary_id))


def _decompressor(dictionary_id: int) -> zstandard.ZstdDecompressor:
    if dictionary_id == NO_DICTIONARY:
        return zstandard.ZstdDecompressor()
    return zstandard.ZstdDecompressor(dict_data=_dictionary(dictionary_id))


def _dictionary(dictionary_id: int) -> zstandard.ZstdCompressionDict:
    found = _dictionaries.get(dictionary_id)
    if found is None:
        stored = BodyDictionary.objects.values_list("dictionary", flat=True).get(pk=dictionary_id)
        found = zstandard.ZstdCompressionDict(bytes(stored))
        found.precompute_compress(level=LEVEL)
        _dictionaries[dictionary_id] = found
    return found
