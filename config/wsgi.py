"""The web process: `granian --interface wsgi config.wsgi:application`."""

import gc
import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
application = get_wsgi_application()

# What is loaded now stays for ever and need not be looked at again; and a batch of calls is some thousands of objects
# that die with the request, so looking for circles every 700 costs a fifth of the time and finds none.
gc.freeze()
gc.set_threshold(50_000, 20, 50)
