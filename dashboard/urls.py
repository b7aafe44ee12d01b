"""The addresses of the pages."""

from django.contrib.auth.views import LogoutView
from django.urls import path

from dashboard.pages import PAGES
from dashboard.views import alerts, first_run, logs, mails, page, saved, system

urlpatterns = [
    *(path(f"{one.key}/" if one.key != "overview" else "", page.page, {"key": one.key}, one.key) for one in PAGES),
    path("<slug:key>/<slug:panel>.csv", page.panel_file, {"form": "csv"}, name="panel_csv"),
    path("<slug:key>/<slug:panel>.json", page.panel_file, {"form": "json"}, name="panel_json"),
    path("first-steps/project/", first_run.create_project, name="create_project"),
    path("first-steps/<slug:slug>/key/", first_run.create_key, name="create_key"),
    path("first-steps/<slug:slug>/mail/", first_run.send_test_mail, name="send_test_mail"),
    path("first-steps/<slug:slug>/waiting/", first_run.waiting, name="waiting"),
    path("logs/", logs.logs, name="logs"),
    path("logs/<uuid:id>/", logs.request_page, name="request"),
    path("logs/<uuid:id>/body/", logs.request_body, name="request_body"),
    path("alerts/", alerts.alerts, name="alerts"),
    path("alerts/<int:id>/", alerts.alert, name="alert"),
    path("mails/", mails.mails, name="mails"),
    path("mails/<str:key>/", mails.mail, name="mail"),
    path("mails/<str:key>/html/", mails.mail_html, name="mail_html"),
    path("views/save/<slug:page>/", saved.save, name="save_view"),
    path("views/<int:id>/forget/", saved.forget, name="forget_view"),
    path("login/", system.SignIn.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("healthz", system.healthz, name="healthz"),
    path("readyz", system.readyz, name="readyz"),
]
