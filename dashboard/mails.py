"""The mails that were written to files instead of being sent: listed, read, and their HTML made safe to frame."""

import base64
import email
import email.policy
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final

MOST: Final = 200
# One mail in a file of Django's backend ends with a line of this.
_RULE: Final = b"\n" + b"-" * 79 + b"\n"
_NAME: Final = re.compile(r"[0-9A-Za-z-]{1,100}\.log")


@dataclass(frozen=True)
class Mail:
    """One mail. `key` names it in addresses: the file, and its place in it."""

    key: str
    message: EmailMessage
    written_at: datetime

    @property
    def subject(self) -> str:
        return str(self.message["Subject"] or "(no subject)")

    @property
    def to(self) -> str:
        return str(self.message["To"] or "")

    @property
    def sender(self) -> str:
        return str(self.message["From"] or "")

    @property
    def at(self) -> datetime:
        """Return when it was written, as the mail itself says."""
        try:
            return parsedate_to_datetime(str(self.message["Date"])).astimezone(UTC)
        except (TypeError, ValueError):
            return self.written_at

    @property
    def text(self) -> str:
        return self._content("plain")

    @property
    def html(self) -> str:
        """Return the HTML part with the pictures that came with it inside, so that it needs nothing from outside."""
        html = self._content("html")
        for part in self.message.walk():
            cid = (part["Content-ID"] or "").strip("<>")
            if cid and part.get_content_maintype() == "image":
                payload = part.get_payload(decode=True)
                data = base64.b64encode(payload if isinstance(payload, bytes) else b"").decode()
                html = html.replace(f"cid:{cid}", f"data:{part.get_content_type()};base64,{data}")
        return html

    def _content(self, kind: str) -> str:
        part = self.message.get_body(preferencelist=(kind,))
        return str(part.get_content()) if part is not None else ""


def newest(folder: Path) -> list[Mail]:
    """Return the newest mails, newest first; none when nothing was ever written."""
    if not folder.is_dir():
        return []
    found: list[Mail] = []
    for path in sorted(folder.glob("*.log"), key=lambda path: path.stat().st_mtime, reverse=True):
        found += _read(path)
        if len(found) >= MOST:
            break
    return sorted(found, key=lambda mail: mail.at, reverse=True)[:MOST]


def find(folder: Path, key: str) -> Mail | None:
    """Return one mail by its key; None when there is none, whatever the key is made of."""
    name, _, place = key.rpartition("-")
    path = folder / f"{name}.log"
    if not _NAME.fullmatch(path.name) or path.parent != folder or not path.is_file():
        return None
    return next((mail for mail in _read(path) if mail.key == f"{name}-{place}"), None)


def _read(path: Path) -> list[Mail]:
    written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    sources = [source for source in path.read_bytes().split(_RULE) if source.strip()]
    return [
        Mail(f"{path.stem}-{place}", email.message_from_bytes(source.lstrip(), policy=email.policy.default), written)
        for place, source in enumerate(sources)
    ]
