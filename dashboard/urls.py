"""The addresses of the pages."""

from django.contrib.auth.views import LogoutView
from django.urls import path, re_path

from dashboard.pages import PAGES
from dashboard.views import alerts, first_run, logs, mails, page, system

urlpatterns = [
    *(path(f"{one.key}/" if one.key != "overview" else "", page.page, {"key": one.key}, one.key) for one in PAGES),
    re_path(r"^(?P<key>[a-z]+)/(?P<panel>[\w-]+)\.(?P<form>csv|json)$", page.panel_file, name="panel_file"),
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
    path("login/", system.SignIn.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("healthz", system.healthz, name="healthz"),
    path("readyz", system.readyz, name="readyz"),
]
