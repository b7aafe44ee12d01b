"""What the wiring tells the layers below once all of them are loaded."""

from django.apps import AppConfig


class ConfigConfig(AppConfig):
    name = "config"

    def ready(self) -> None:
        from config import jobs_read  # noqa: PLC0415 - models can be imported from here on
        from dashboard import work  # noqa: PLC0415

        work.read_by(jobs_read.read)
