"""The read API."""

from django.urls import path

from metrics.api import BreakdownView, CatalogView, SeriesView, ValueView

urlpatterns = [
    path("metrics", CatalogView.as_view(), name="metrics"),
    path("metrics/<str:metric>", ValueView.as_view(), name="metric_value"),
    path("metrics/<str:metric>/series", SeriesView.as_view(), name="metric_series"),
    path("metrics/<str:metric>/breakdown", BreakdownView.as_view(), name="metric_breakdown"),
]
