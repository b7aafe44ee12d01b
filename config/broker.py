"""The broker without a server: a directory of message files that may be wiped at any time.

Kombu's transport for this trusts its directories to be there; ours makes them again, so that wiping them costs the
messages (which hold no truth) and nothing else.
"""

from pathlib import Path

from kombu.transport import filesystem


class Channel(filesystem.Channel):
    """Kombu's file channel with directories that come back."""

    def _present(self, option: str) -> Path:
        folder = Path(self.transport_options[option])
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    @property
    def data_folder_in(self) -> str:
        return str(self._present("data_folder_in"))

    @property
    def data_folder_out(self) -> str:
        return str(self._present("data_folder_out"))

    @property
    def processed_folder(self) -> str:
        return str(self._present("processed_folder"))

    @property
    def control_folder(self) -> Path:
        return self._present("control_folder")


class Transport(filesystem.Transport):
    """Named in config.celery instead of kombu's own."""

    Channel = Channel


def options(folder: Path) -> dict[str, object]:
    """The transport's options for a broker in this directory."""
    messages = str(folder / "messages")
    return {
        # What one side writes, the other reads.
        "data_folder_in": messages,
        "data_folder_out": messages,
        "processed_folder": str(folder / "taken"),
        "control_folder": str(folder / "control"),
    }
