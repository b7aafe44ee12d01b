"""The signing key of this installation, made once and kept beside its data."""

import os
import secrets
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
