"""The ways to reach people. Adding one is a file beside this one and a line here."""

from typing import Final

from alerting.channels.base import Channel
from alerting.channels.email import Email

CHANNELS: Final[dict[str, type[Channel]]] = {"email": Email}
