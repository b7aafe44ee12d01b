"""Whom the embedded PostgreSQL runs as: ourselves, or an unprivileged user when we are root, whom it refuses."""

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

SYSTEM_USER = "llmvitals"


@dataclass(frozen=True)
class User:
    """A user of this machine as which programs can be run; that takes root unless it is ourselves."""

    uid: int
    gid: int

    @property
    def name(self) -> str:
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return f"user {self.uid}"

    def run(self, program: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run to the end, output captured, with nothing but this user's rights."""
        command = [program, *arguments]
        if self.uid == os.geteuid():
            return subprocess.run(command, check=False, capture_output=True, text=True, cwd="/", umask=0o077)
        return subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            cwd="/",
            umask=0o077,
            user=self.uid,
            group=self.gid,
            extra_groups=[],
        )

    def can(self, flag: str, path: Path) -> bool:
        """Whether `test FLAG PATH` holds for this user: asked of the kernel, so access lists count as well."""
        if self.uid == os.geteuid():
            return True  # Whatever is forbidden to ourselves shows in the plain error of using it.
        return self.run(Path(shutil.which("test") or "/usr/bin/test"), flag, path).returncode == 0


def ourselves() -> User:
    return User(os.geteuid(), os.getegid())


def unprivileged() -> User:
    """The system user `llmvitals`, made when it can be; else `nobody`."""
    for name in (SYSTEM_USER, None, SYSTEM_USER, "nobody"):
        if name is None:
            _create_user()
            continue
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        return User(found.pw_uid, found.pw_gid)
    return User(65534, 65534)


def _create_user() -> None:
    """A failure is not an error: `nobody` serves as well, and another process may have made the user just now."""
    if program := shutil.which("useradd"):
        options = ["--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
        shell = shutil.which("nologin") or "/bin/false"
        subprocess.run([program, *options, "--shell", shell, SYSTEM_USER], check=False, capture_output=True)
