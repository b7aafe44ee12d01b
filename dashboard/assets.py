"""Browser libraries, served out of installed packages and never committed."""

from collections.abc import Iterable
from typing import Any

from django.contrib.staticfiles.finders import BaseFinder


class PackageFinder(BaseFinder):
    def find(self, path: str, **kwargs: Any) -> list[str]:
        return []

    def list(self, ignore_patterns: Iterable[str] | None) -> Iterable[Any]:
        return []
