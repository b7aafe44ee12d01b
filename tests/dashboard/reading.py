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


def rows(client: Client, address: str) -> list[dict[str, str]]:
    """The lines of a file of numbers."""
    response = client.get(address)
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(response.content.decode())))
