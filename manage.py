#!/usr/bin/env python
"""Django's command line, with the embedded PostgreSQL running for as long as the command needs it."""

import os
import sys
from contextlib import nullcontext

# Commands that read or write files only. `up` looks after the database itself.
WITHOUT_DATABASE = {
    "help", "version", "check", "makemigrations", "makemessages", "compilemessages", "collectstatic", "findstatic",
    "startapp", "diffsettings", "up",
}  # fmt: skip


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    command = next((word for word in sys.argv[1:] if not word.startswith("-")), "help")
    needs_database = command not in WITHOUT_DATABASE and not {"-h", "--help", "--version"}.intersection(sys.argv)
    if needs_database and command != "runserver":
        os.environ.setdefault("STATEMENT_TIMEOUT_MS", "0")  # A person waits for the command and can press Ctrl-C.
    from config.complaints import one_line

    try:
        if command == "up":
            from config import up

            return up.main(sys.argv[2:])  # Before Django: the supervisor stays small.
        from config import database, settings

        with database.ready(settings.VITALS_HOME / "postgres") if needs_database else nullcontext():
            from django.core.management import execute_from_command_line

            execute_from_command_line(sys.argv)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:  # Sorted just below: what the person can mend gets one line, our faults a traceback.
        line = one_line(error)
        if line is None or "--traceback" in sys.argv:
            raise
        sys.exit(line)


if __name__ == "__main__":
    main()
