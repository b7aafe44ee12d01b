"""`python -m config.beat`: sends the tick. It loads no models, no admin and no tasks, which halves its memory.

The schedule is kept in memory only: it is one tick, and what is due is known by PostgreSQL.
"""

import logging.config

from django.conf import settings

from config.celery import build


def main() -> None:
    logging.config.dictConfig(settings.LOGGING)
    app = build(fixups=[])
    app.Beat(scheduler="celery.beat:Scheduler", quiet=True, redirect_stdouts=False).run()


if __name__ == "__main__":
    main()
