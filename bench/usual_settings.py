"""The product's settings, with the usual way to take events in at the same address."""

from config.settings import *  # noqa: F403 - the same in everything else

ROOT_URLCONF = "bench.usual_ingest"
