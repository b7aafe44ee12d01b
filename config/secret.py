"""What only the owner of this installation may read: its signing key, and folders of its own."""

import os
import secrets
import stat
from pathlib import Path


def stored(path: Path) -> str:
    """The key in `path`; made on first use, readable by the owner only, safe when several processes start at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    if not path.exists():
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(50))
        try:
            os.link(draft, path)  # Fails when another process was first; its key counts.
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text().strip()


def folder(path: Path) -> Path:
    """A folder that others on this machine cannot enter, made or closed when it is not."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.stat().st_uid == os.geteuid() and stat.S_IMODE(path.stat().st_mode) != 0o700:
        path.chmod(0o700)
    return path
