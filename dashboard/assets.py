"""Browser libraries, served out of installed packages and never committed.

Plotly comes as the small build of the npm package when it is installed, otherwise as the full one that lies in the
Python wheel. Either puts its global rules into the page by script, which the Content-Security-Policy forbids; both
leave that when they find the rules already there, so the rules are read out of the bundle into a stylesheet.
"""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import django_htmx
import plotly
from django.conf import settings
from django.contrib.staticfiles.finders import BaseFinder
from django.core.files.storage import FileSystemStorage, Storage

PLOTLY: Final = "libraries/plotly.min.js"
PLOTLY_RULES: Final = "libraries/plotly.css"
HTMX: Final = "libraries/htmx.min.js"

# One object literal in the bundle: selector (X is a chart, Y a notice) to declarations.
_RULES: Final = re.compile(r"""=\{("X,X div":.*?)\};""", re.DOTALL)
_RULE: Final = re.compile(r"""(?:"([^"]+)"|\b(Y)):(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)')""")
# The full build looks for the stylesheet of its maps by this id before it makes one.
_MAP_STYLE: Final = re.compile(r"""getElementById\("([0-9a-f]{64})"\)""")


def plotly_bundle() -> Path:
    """Return the plotly.js that is served: the small build when npm installed it, else the wheel's."""
    small = Path(settings.BASE_DIR) / "node_modules" / "plotly.js-basic-dist-min" / "plotly-basic.min.js"
    return small if small.is_file() else Path(plotly.__file__).parent / "package_data" / "plotly.min.js"


@cache
def rules(bundle: Path) -> str:
    """Return the stylesheet the bundle would inject. Raises ValueError when a new bundle keeps it differently."""
    found = _RULES.search(bundle.read_text(encoding="utf-8"))
    if found is None:
        raise ValueError(f"{bundle.name} keeps its style rules in a way this version does not know")
    lines = []
    for quoted, notice, double, single in _RULE.findall(found.group(1)):
        selector = (quoted or notice).replace("X", ".js-plotly-plot .plotly").replace("Y", ".plotly-notifier")
        lines.append(f"{selector}{{{double or single}}}")
    return "\n".join(lines) + "\n"


@cache
def map_style_id(bundle: Path) -> str:
    """Return the id the bundle looks for before it adds the styles of its maps; empty when it has no maps."""
    found = _MAP_STYLE.search(bundle.read_text(encoding="utf-8"))
    return found.group(1) if found is not None else ""


def _rules_file(bundle: Path) -> Path:
    """Write the stylesheet where the product keeps its own files, as a static file must be a file."""
    path = Path(settings.VITALS_HOME) / "browser" / f"{bundle.stem}.css"
    text = rules(bundle)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return path


def sources() -> dict[str, Path]:
    """Return the file behind each address under the static root."""
    bundle = plotly_bundle()
    htmx = Path(django_htmx.__file__).parent / "static" / "django_htmx" / "htmx-4.min.js"
    return {PLOTLY: bundle, PLOTLY_RULES: _rules_file(bundle), HTMX: htmx}


class _PackageStorage(FileSystemStorage):
    """A read-only storage whose names are those of `sources()`."""

    prefix = ""

    def path(self, name: str) -> str:
        return str(sources()[name])


class PackageFinder(BaseFinder):
    """Lets Django's staticfiles find the libraries, for `collectstatic` and for the development server."""

    def find(self, path: str, find_all: bool = False, **kwargs: Any) -> Any:
        found = sources().get(path) if path.startswith("libraries/") else None
        if find_all or kwargs.get("all"):
            return [str(found)] if found is not None else []
        return str(found) if found is not None else []

    def list(  # the libraries are few and all are wanted
        self,
        ignore_patterns: Iterable[str] | None,  # noqa: ARG002
    ) -> Iterator[tuple[str, Storage]]:
        storage = _PackageStorage()
        for name in sources():
            yield name, storage
