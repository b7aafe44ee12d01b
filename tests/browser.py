"""The Chromium that browser tests drive: the system's, or one Playwright keeps. Run as a script, fetches the latter."""

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from playwright.sync_api import sync_playwright

# Without these a headless Chromium talks to its maker's servers at every start.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@cache
def executable() -> str | None:
    """The path of a Chromium, or None."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None


if __name__ == "__main__" and executable() is None:
    code = subprocess.call([sys.executable, "-m", "playwright", "install", "chromium"])
    sys.exit(code if os.environ.get("CI") else 0)
