"""The pages for people who use llmclient, and what stands in them."""

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
DOCS: Final = ROOT / "docs"
ENTRY: Final = DOCS / "client.md"
PAGES: Final = (ENTRY, *sorted((DOCS / "client").glob("*.md")))
TEXTS: Final = {page: page.read_text() for page in PAGES}
EVERYTHING: Final = "\n".join(TEXTS.values())


def page_named(name: str) -> str:
    """The text of one of the pages under docs/client."""
    return TEXTS[DOCS / "client" / f"{name}.md"]


def tables_of(text: str) -> Iterator[list[list[str]]]:
    """The cells of each table, row by row; the first is its head."""
    for found in re.findall(r"(?:^\|.*\|$\n?)+", text, re.MULTILINE):
        rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in found.splitlines()]
        yield [rows[0], *rows[2:]]


def table_headed(text: str, *head: str) -> list[list[str]]:
    """The rows of the one table whose head begins so."""
    [rows] = [table[1:] for table in tables_of(text) if tuple(table[0][: len(head)]) == head]
    return rows


def public_rows() -> list[list[str]]:
    """What the entry page says of each public name."""
    _, _, text = TEXTS[ENTRY].partition("\n## Everything public\n")
    return [row for table in tables_of(text) for row in table[1:]]


def code_in(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def thing(dotted: str) -> Any:
    """What a dotted name stands for; AttributeError or ImportError when it stands for nothing."""
    module, _, name = dotted.rpartition(".")
    found = importlib.import_module(module)
    return getattr(found, name) if hasattr(found, name) else importlib.import_module(dotted)
