"""The native ingest API."""

from django.urls import path

from ingest.api import AnnotationsView, EventsView, ScoresView

urlpatterns = [
    path("events", EventsView.as_view(), name="events"),
    path("scores", ScoresView.as_view(), name="scores"),
    path("annotations", AnnotationsView.as_view(), name="annotations"),
]
