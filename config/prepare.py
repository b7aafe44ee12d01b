"""Everything that must be there before the first page: tables, jobs, static files, and somebody who can log in."""

import fcntl
import os
import secrets
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from config import schedule, secret

LOGIN_FILE = "demo-login"


def prepare(now: datetime, *, demo: bool) -> dict[str, str]:
    """Make it all ready, quickly when it is; who can log in, and with which password when it is known."""
    collect_static()
    close_mails()
    migrate()
    schedule.sync_jobs(now)
    return demo_login(settings.VITALS_HOME / LOGIN_FILE) if demo else first_login()


def close_mails() -> None:
    """Mails that are written to files name people, so nobody else on this machine may read them."""
    if folder := getattr(settings, "EMAIL_FILE_PATH", None):
        secret.folder(Path(folder))


def migrate() -> None:
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        call_command("migrate", interactive=False, verbosity=0)


def collect_static() -> None:
    """Collect and compress the static files when they are missing or older than a source."""
    built = Path(settings.STATIC_ROOT)
    manifest = built / "staticfiles.json"
    if _is_fresh(manifest):
        return
    built.mkdir(parents=True, exist_ok=True)
    with (built / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # Two that start at once would write the same files.
        if not _is_fresh(manifest):
            call_command("collectstatic", interactive=False, verbosity=0)
            os.utime(manifest)  # Left untouched when nothing in it changed.


def _is_fresh(manifest: Path) -> bool:
    return manifest.exists() and manifest.stat().st_mtime >= _newest_source()


def _newest_source() -> float:
    return max(
        (Path(storage.path(name)).stat().st_mtime for finder in get_finders() for name, storage in finder.list([])),
        default=0.0,
    )


def first_login() -> dict[str, str]:
    """The first admin, made once with a random password that is shown once."""
    users = get_user_model().objects
    known = users.filter(is_superuser=True, is_active=True).order_by("pk").first()
    if known:
        name = known.get_username()
        return _login(name, "", f"Forgotten it? manage.py changepassword {name}")
    password = secrets.token_urlsafe(12)
    users.create_superuser("admin", password=password)
    return _login("admin", password, "Write it down, it is shown this once; change it at /admin/password_change/")


def demo_login(path: Path) -> dict[str, str]:
    """The login of the demo, kept in a file only its owner can read and shown at every start."""
    if not path.exists():
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(9))
    password = path.read_text().strip()
    users = get_user_model().objects
    user = users.filter(username="demo").first() or users.create_superuser("demo", password=password)
    if not user.check_password(password):
        user.set_password(password)
        user.save(update_fields=["password"])
    return _login("demo", password, f"Kept in {path}")


def _login(user: str, password: str, remark: str) -> dict[str, str]:
    return {"user": user, "password": password, "remark": remark}
