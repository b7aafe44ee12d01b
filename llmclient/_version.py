"""The version the events carry. A test holds it equal to the distribution's."""

__version__ = "0.1.0"
