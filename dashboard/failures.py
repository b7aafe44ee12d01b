"""What could not be read or drawn: in the log in full, on the page as a reference to it."""

import logging
import secrets

logger = logging.getLogger(__name__)


def noted(what: str, error: Exception) -> str:
    """Log the exception at hand under a short reference, and return that for the page."""
    reference = secrets.token_hex(4)
    logger.error("%s failed, reference %s", what, reference, exc_info=error)
    return f"Reference {reference}"


def sentence(error: Exception) -> str:
    """Return the words of an exception that was made to be read, as a sentence."""
    said = str(error)
    return f"{said[:1].upper()}{said[1:]}."
