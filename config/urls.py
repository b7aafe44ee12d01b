"""Which package answers which address."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("api/v1/", include("ingest.urls")),
    path("api/v1/", include("metrics.urls")),
    path("admin/", admin.site.urls),
    path("", include("dashboard.urls")),
]
