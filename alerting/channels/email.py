"""E-mail: text and HTML, one thread per alert, over whatever EMAIL_URL names."""

import smtplib
from email.utils import parseaddr
from types import TracebackType
from typing import Final, Self

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection

from alerting.channels.base import DeliveryError, Letter

# Answers of 500 and above to a recipient or a message are final; below they mean "not now".
FINAL: Final = 500


class Email:
    """One SMTP connection, opened by the first letter and used for the whole batch."""

    def __enter__(self) -> Self:
        self._connection = get_connection()
        self._open = False
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def send(self, letter: Letter) -> None:
        self._connect()
        try:
            self._connection.send_messages([_mail(letter, self._connection)])
        except smtplib.SMTPRecipientsRefused as error:
            code, said = next(iter(error.recipients.values()))
            raise DeliveryError(_said(code, said), permanent=code >= FINAL) from error
        except smtplib.SMTPDataError as error:
            raise DeliveryError(_said(error.smtp_code, error.smtp_error), permanent=error.smtp_code >= FINAL) from error
        except ValueError as error:
            # A header or an address that no mail can have. Somebody has to mend a setting, so it is tried again.
            raise DeliveryError(f"The mail could not be made: {error}") from error
        except (OSError, smtplib.SMTPException) as error:
            self._close()
            raise DeliveryError(_reason(error), unreachable=True) from error

    def _connect(self) -> None:
        if self._open:
            return
        try:
            self._connection.open()
        except (OSError, smtplib.SMTPException) as error:
            raise DeliveryError(_reason(error), unreachable=True) from error
        self._open = True

    def _close(self) -> None:
        if self._open:
            self._connection.close()
            self._open = False


def message_id(key: str) -> str:
    """The Message-ID of a letter: the same for every try."""
    return f"<{key}@{_domain()}>"


def _domain() -> str:
    address = parseaddr(settings.DEFAULT_FROM_EMAIL)[1]
    return address.rpartition("@")[2] or "localhost"


def _mail(letter: Letter, connection: object) -> EmailMultiAlternatives:
    headers = {
        "Message-ID": message_id(letter.key),
        # Tells other programs not to answer (RFC 3834).
        "Auto-Submitted": "auto-generated",
    }
    if letter.thread:
        headers["In-Reply-To"] = headers["References"] = message_id(letter.thread)
    mail = EmailMultiAlternatives(
        subject=letter.subject, body=letter.text, to=[letter.to], headers=headers, connection=connection
    )
    mail.attach_alternative(letter.html, "text/html")
    return mail


def _said(code: int, text: bytes | str) -> str:
    words = text.decode(errors="replace") if isinstance(text, bytes) else text
    return f"The mail server answered {code} {words}"


def _reason(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        return _said(error.smtp_code, error.smtp_error)
    return f"The mail server cannot be reached: {error}"
