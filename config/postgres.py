"""The embedded PostgreSQL."""

import hashlib
import tempfile
from pathlib import Path


def url(data_dir: Path) -> str:
    name = hashlib.sha256(str(data_dir).encode()).hexdigest()[:12]
    return f"postgres://postgres@/vitals?host={Path(tempfile.gettempdir()) / f'llm-vitals-{name}'}"
