"""Views under a name: kept as they were written, found by those who may, forgotten by their owner."""

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from dashboard.models import SavedView
from dashboard.views import saved
from projects.models import Project
from tests import factories

pytestmark = pytest.mark.django_db

PLACE = "?project=helpdesk&from=now-6h&feature=a%26b"


@pytest.fixture
def other(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_user("other", password="other"))
    return client


def keep(client: Client, name: str, *, page: str = "overview", place: str = PLACE, shared: bool = False) -> str:
    answer = client.post(f"/views/save/{page}/{place}", {"name": name} | ({"shared": "on"} if shared else {}))
    assert answer.status_code == 302
    return str(answer["Location"])


def listed(client: Client, address: str = "/") -> list[str]:
    return [view.name for view in client.get(address).context["views"]]


def test_a_view_is_kept_as_it_was_written_and_leads_back_to_it(viewer: Client, calls: Project) -> None:
    assert keep(viewer, "  Mornings  of inbox ") == f"/{PLACE}"
    view = SavedView.objects.get()
    assert (view.project, view.owner.get_username(), view.name) == (calls, "viewer", "Mornings of inbox")
    assert (view.page, view.query, view.shared) == ("overview", PLACE, False)
    page = viewer.get("/").content.decode()
    assert f'<a href="/{PLACE.replace("&", "&amp;")}">Mornings of inbox</a>' in page
    assert listed(viewer, "/logs/") == ["Mornings of inbox"]


def test_what_the_address_got_wrong_is_not_kept(viewer: Client, calls: Project) -> None:
    keep(viewer, "a", page="logs", place="?project=helpdesk&status=joy&evil=%3Cb%3E&before=1&user=anna")
    assert SavedView.objects.get().query == "?project=helpdesk&user=anna"


def test_the_same_name_again_replaces_the_view(viewer: Client, calls: Project) -> None:
    keep(viewer, "a")
    keep(viewer, "a", page="logs", place="?project=helpdesk", shared=True)
    view = SavedView.objects.get()
    assert (view.page, view.query, view.shared) == ("logs", "?project=helpdesk", True)


def test_others_find_only_what_is_shared_and_cannot_forget_it(viewer: Client, other: Client, calls: Project) -> None:
    keep(viewer, "mine")
    keep(viewer, "ours", shared=True)
    assert listed(viewer) == ["mine", "ours"]
    assert listed(other) == ["ours"]
    for view in SavedView.objects.all():
        assert other.post(f"/views/{view.pk}/forget/").status_code == 403
    assert SavedView.objects.count() == 2


def test_the_owner_forgets_a_view_and_so_does_who_may_delete_views(
    viewer: Client, other: Client, calls: Project
) -> None:
    keep(viewer, "mine")
    keep(viewer, "ours", shared=True)
    mine, ours = SavedView.objects.all()
    answer = viewer.post(f"/views/{mine.pk}/forget/")
    assert answer["Location"] == f"/{PLACE}"
    User.objects.get(username="other").user_permissions.add(Permission.objects.get(codename="delete_savedview"))
    assert other.post(f"/views/{ours.pk}/forget/").status_code == 302
    assert not SavedView.objects.exists()


def test_a_view_of_another_project_is_not_listed(viewer: Client, calls: Project) -> None:
    second = factories.project("shop", name="Shop")
    keep(viewer, "shop", place=f"?project={second.slug}")
    assert listed(viewer, "/?project=helpdesk") == []
    assert listed(viewer, "/logs/?project=shop") == ["shop"]


@pytest.mark.parametrize("name", ["", "   ", "x" * 61, "a\u202eb", "a\x00b"])
def test_a_view_without_a_proper_name_is_refused_in_words(viewer: Client, calls: Project, name: str) -> None:
    keep(viewer, name)
    assert not SavedView.objects.exists()
    assert "A view needs a name of up to 60 letters." in viewer.get("/").content.decode()


def test_only_pages_with_a_query_can_be_kept(viewer: Client, calls: Project) -> None:
    assert keep(viewer, "a", page="alerts") == f"/{PLACE}"
    assert not SavedView.objects.exists()
    assert "This page cannot be kept as a view." in viewer.get("/").content.decode()


def test_filters_without_end_are_refused(viewer: Client, calls: Project) -> None:
    long = "&".join(f"{name}={'ä' * 200}" for name in ("feature", "model", "prompt_type"))
    keep(viewer, "a", place=f"?project=helpdesk&{long}")
    assert not SavedView.objects.exists()


def test_a_list_of_views_has_an_end(viewer: Client, calls: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved, "MOST_VIEWS", 2)
    for name in ("a", "b", "c", "b"):
        keep(viewer, name)
    assert [view.name for view in SavedView.objects.all()] == ["a", "b"]


def test_a_hostile_name_is_text(viewer: Client, calls: Project) -> None:
    keep(viewer, "<script>alert(1)</script>")
    page = viewer.get("/").content.decode()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
