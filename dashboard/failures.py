"""What could not be read or drawn: in the log in full and on the page as a reference to it, or in a sentence why."""

import logging
import secrets

logger = logging.getLogger(__name__)


def noted(what: str, error: Exception) -> str:
    """Log the exception at hand under a short reference, and return that for the page."""
    reference = secrets.token_hex(4)
    logger.error("%s failed, reference %s", what, reference, exc_info=error)
    return f"Reference {reference}"


def sentence(error: ValueError) -> str:
    """Return what an error of a question says, as a sentence for the page."""
    said = str(error)
    return f"{said[:1].upper()}{said[1:]}."
