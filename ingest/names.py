"""Whose, what for and from where: the names of a batch's calls as numbers, packed the way their columns are stored.

A batch repeats a few combinations of names, so each combination is looked up once. Calls with a name that this process
has not met yet wait until all new names of the batch are interned together.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from struct import Struct
from typing import Final

from ingest import dimensions
from ingest.events import Event
from ingest.vocabulary import DimensionKind

COLUMNS: Final = (
    *("project_id", "environment_id", "feature_id", "prompt_type_id", "prompt_version_id", "model_id"),
    *("requested_model_id", "app_id", "release_id", "sdk_id", "key_id"),
)
_struct: Final = Struct("!" + "ii" * len(COLUMNS))
PACKED_SIZE: Final = _struct.size

_ENVIRONMENT, _FEATURE, _PROMPT_TYPE = DimensionKind.ENVIRONMENT, DimensionKind.FEATURE, DimensionKind.PROMPT_TYPE
_PROMPT_VERSION, _MODEL = DimensionKind.PROMPT_VERSION, DimensionKind.MODEL
_APP, _RELEASE = DimensionKind.APP, DimensionKind.RELEASE
_SDK, _KEY = DimensionKind.SDK, DimensionKind.KEY


class Names:
    """The names of calls of one project and environment, for as long as a batch takes."""

    def __init__(self, project_id: int, environment: str) -> None:
        self._project_id = project_id
        self._environment = environment
        self._packed: dict[tuple[str | None, ...], bytes] = {}
        self._interned: dict[DimensionKind, dict[str, int]] = {}

    def packed(self, event: Event) -> bytes | None:
        """COLUMNS of the call, each after its length; None when a name of it was never interned."""
        key = (
            *(event.feature, event.prompt_type, event.prompt_version, event.model, event.model_requested),
            *(event.app, event.release, event.sdk, _key_of(event)),
        )
        found = self._packed.get(key)
        return self._look_up(key) if found is None else found

    def intern(self, events: Sequence[Event]) -> None:
        """Gives every name of these calls its number. Never within the transaction that stores them."""
        oldest_first = sorted(events, key=lambda event: event.started_at)
        for kind, names_of in _NAMES_OF.items():
            seen: dict[str, datetime] = {}
            for event in oldest_first:
                for name in names_of(event):
                    # An empty name is no name.
                    if name:
                        seen.setdefault(name, event.started_at)
            self._interned[kind] = dimensions.ids(self._project_id, kind, seen, seen=seen)
        self._interned[_ENVIRONMENT] = dimensions.ids(self._project_id, _ENVIRONMENT, [self._environment])

    def _look_up(self, key: tuple[str | None, ...]) -> bytes | None:
        feature, prompt_type, prompt_version, model, requested, app, release, sdk, api_key = key
        numbers = (
            self.number(_ENVIRONMENT, self._environment),
            self.number(_FEATURE, feature),
            self.number(_PROMPT_TYPE, prompt_type),
            self.number(_PROMPT_VERSION, prompt_version),
            self.number(_MODEL, requested if model is None else model),
            self.number(_MODEL, model if requested is None else requested),
            self.number(_APP, app),
            self.number(_RELEASE, release),
            self.number(_SDK, sdk),
            self.number(_KEY, api_key),
        )
        if None in numbers:
            return None
        lengths_and_values = (field for number in (self._project_id, *numbers) for field in (4, number))
        found = self._packed[key] = _struct.pack(*lengths_and_values)
        return found

    def number(self, kind: DimensionKind, name: str | None) -> int | None:
        """The number of a name, ABSENT for no name; None when it was never interned."""
        if not name:
            return dimensions.ABSENT
        # What was interned just now may not be known for good: see `dimensions`.
        interned = self._interned.get(kind, {}).get(name)
        return dimensions.known(self._project_id, kind).get(name) if interned is None else interned


def _key_of(event: Event) -> str | None:
    """The alias of the API key that was used last."""
    return event.attempts[-1].key_alias if event.attempts else None


# The names each kind takes from a call.
_NAMES_OF: Final[Mapping[DimensionKind, Callable[[Event], tuple[str | None, ...]]]] = {
    _FEATURE: lambda event: (event.feature,),
    _PROMPT_TYPE: lambda event: (event.prompt_type,),
    _PROMPT_VERSION: lambda event: (event.prompt_version,),
    _MODEL: lambda event: (event.model, event.model_requested),
    _APP: lambda event: (event.app,),
    _RELEASE: lambda event: (event.release,),
    _SDK: lambda event: (event.sdk,),
    _KEY: lambda event: (_key_of(event),),
}
