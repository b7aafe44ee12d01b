"""Views under a name: keep the page as it is, find it again, forget it."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from dashboard.models import LONGEST_ADDRESS, SavedView
from dashboard.pages import PAGES
from dashboard.views import asked

MOST_VIEWS = 50
"""Per person and project: a list that is longer is not read."""
_KEPT = frozenset({"logs", *(page.key for page in PAGES)})


@require_POST
def save(request: HttpRequest, page: str) -> HttpResponse:
    """Keep the query of this address under the name in the form; the same name again replaces what it stood for."""
    assert request.user.is_authenticated
    query = asked.read(request)
    back = redirect(reverse(page if page in _KEPT else "overview") + query.here)
    name = " ".join(request.POST.get("name", "").split())
    if page not in _KEPT or query.project is None:
        messages.error(request, "This page cannot be kept as a view.")
    elif not (0 < len(name) <= 60 and name.isprintable()):
        messages.error(request, "A view needs a name of up to 60 letters.")
    elif len(query.here) > LONGEST_ADDRESS:
        messages.error(request, "The filters of this page are too long to be kept.")
    else:
        mine = SavedView.objects.filter(project=query.project, owner=request.user)
        if not mine.filter(name=name).exists() and mine.count() >= MOST_VIEWS:
            messages.error(request, f"You have {MOST_VIEWS} views already; forget one first.")
            return back
        SavedView.objects.update_or_create(
            project=query.project,
            owner=request.user,
            name=name,
            defaults={
                "page": page,
                "query": query.here,
                "shared": request.POST.get("shared") == "on",
                "created_at": query.now,
            },
        )
        messages.success(request, f"The view “{name}” is kept.")
    return back


@require_POST
def forget(request: HttpRequest, id: int) -> HttpResponse:  # noqa: A002 - the name in the address
    """Forget a view: one's own, or with the permission to delete views anyone's that is shared."""
    assert request.user.is_authenticated
    view = get_object_or_404(SavedView, pk=id)
    if view.owner_id != request.user.pk and not (view.shared and request.user.has_perm("dashboard.delete_savedview")):
        raise PermissionDenied("Only its owner can forget this view.")
    view.delete()
    messages.success(request, f"The view “{view.name}” is forgotten.")
    return redirect(reverse(view.page if view.page in _KEPT else "overview") + view.query)
