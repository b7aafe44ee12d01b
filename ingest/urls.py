"""The native ingest API."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
