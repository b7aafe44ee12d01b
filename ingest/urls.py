"""The native ingest API."""

from django.urls import path

from ingest.api import EventsView

urlpatterns = [path("events", EventsView.as_view(), name="events")]
