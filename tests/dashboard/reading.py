"""What tests read off a page: its text, a panel's part of it, and the panel's numbers as a file."""

import csv
import io
import re
from html import unescape

from django.test import Client


def text(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200
    return response.content.decode()


def section(page: str, key: str) -> str:
    """The panel with this key."""
    start = page.index(f'id="p-{key}"')
    return page[start : page.index("</section>", start)]


def takeaway(page: str, key: str) -> str:
    """The sentence of a panel."""
    found = re.search(r'<p class="takeaway">(.*?)</p>', section(page, key))
    assert found is not None
    return unescape(found[1])


def tiles(page: str) -> list[dict[str, str]]:
    """The headline numbers of a page: label, value, all its digits, change, what that is from, and a note."""
    found = []
    for tile in re.findall(r'<div class="tile">(.*?)</div>', page, re.DOTALL):
        value = re.search(r'<p class="value"(?: title="(.*?)")?>(.*?)</p>', tile)
        changed = re.search(r'<p class="change[^>]*>(?:<b>(.*?)</b>)?(.*?)</p>', tile)
        label, note = re.search(r"<h3>(.*?)</h3>", tile), re.search(r'<p class="note">(.*?)</p>', tile)
        assert value is not None
        assert changed is not None
        assert label is not None
        texts = {
            "label": label[1],
            "value": value[2],
            "exact": value[1] or "",
            "change": re.sub(r"<span.*?</span>", "", changed[1] or ""),
            "against": re.sub(r'<span class="sr">.*?</span>', "", changed[2]),
            "note": "" if note is None else note[1],
        }
        found.append({name: unescape(text).strip() for name, text in texts.items()})
    return found


def answer(page: str) -> tuple[str, str]:
    """The sentence a page begins with, and what is said below it without how complete it is."""
    found = re.search(r'<h2 role="status">(.*?)</h2>\s*<p>(.*?)<span class="since', page, re.DOTALL)
    assert found is not None
    return unescape(found[1]), unescape(found[2]).strip()


def rows(client: Client, address: str) -> list[dict[str, str]]:
    """The lines of a file of numbers."""
    response = client.get(address)
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(response.content.decode())))
