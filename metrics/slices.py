"""Slices: which calls are meant, in the words people use."""

from dataclasses import dataclass, fields
from typing import Final, Literal

Dimension = Literal[
    "environment", "feature", "prompt_type", "prompt_version", "model", "error", "key", "release", "user_id", "score"
]  # the fields of Slice that calls can be broken down by; scores by their name, too

# The calls that did not say: Slice(feature=NONE), and the name of their part in a breakdown.
NONE: Final = "(none)"
# All parts that are not among the top ones, together.
OTHER: Final = "(other)"


@dataclass(frozen=True, slots=True)
class Slice:
    """The calls of one project that have all the given properties; an empty string puts no condition.

    `error` is a category of `ingest.vocabulary.ErrorCategory` in small letters, `key` the alias of the API key that
    was used last, `release` the application's. A name nobody has used yet matches
    no call: it is not an error, because links and rules live longer than names. `score` is the name of a score, for
    metrics of scores: those of this name that were told of these calls.
    """

    project_id: int
    environment: str = ""
    feature: str = ""
    prompt_type: str = ""
    prompt_version: str = ""
    model: str = ""
    error: str = ""
    key: str = ""
    release: str = ""
    user_id: str = ""
    score: str = ""

    @property
    def filters(self) -> dict[str, str]:
        """Return the conditions that are set, by field, without the project."""
        return {
            field.name: value
            for field in fields(self)
            if field.name != "project_id" and (value := getattr(self, field.name)) != ""
        }
