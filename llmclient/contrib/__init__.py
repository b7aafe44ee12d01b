"""Fittings for frameworks. Each module needs the framework it is named after, and nothing imports it by itself."""
