"""Pools: which models of a project draw on the same limits, and the number each pool is stored under."""

from collections.abc import Mapping

from ingest.dimensions import OTHER_NAME, names
from ingest.model_groups import group_of
from ingest.vocabulary import DimensionKind


def pools(models: Mapping[int, str]) -> dict[str, list[int]]:
    """Return the models of each group, by the group's name. The first is the oldest, and so the pool's own number."""
    found: dict[str, list[int]] = {}
    for model, name in sorted(models.items()):
        found.setdefault(name if name == OTHER_NAME else group_of(name), []).append(model)
    return found


def numbers(project_id: int) -> Mapping[int, int]:
    """Return the number of each model's pool. It never changes: models that come later have larger numbers."""
    found = pools(names(project_id, DimensionKind.MODEL))
    return {model: models[0] for models in found.values() for model in models}
