"""The log of calls, and the page of one call."""

from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_POST, require_safe

from dashboard import judgement, request_facts, search
from dashboard.bodies import Body, read_body
from dashboard.query import ERRORS, FILTERS, STATUSES, DashboardQuery
from dashboard.search import Call
from dashboard.views import asked
from ingest import dimensions
from ingest.vocabulary import DimensionKind, Flag

READ_BODY = "ingest.view_requestbody"


@require_safe
@cache_control(private=True, no_cache=True)
def logs(request: HttpRequest) -> HttpResponse:
    query = asked.read(request)
    if query.project is None:
        return redirect("overview")
    found = search.search(query)
    context = asked.controls(request, query) | {
        "query": query,
        "found": found,
        "statuses": STATUSES,
        "errors": sorted(ERRORS),
        "choices": _choices(query),
    }
    response = render(request, "dashboard/logs.html", context)
    patch_vary_headers(response, ["HX-Request"])
    return response


@require_safe
@cache_control(private=True, no_cache=True)
def request_page(request: HttpRequest, id: UUID) -> HttpResponse:  # noqa: A002 - the name in the address
    query = asked.read(request)
    return render(request, "dashboard/request.html", _about(request, query, _call(query, id)))


@require_POST
def request_body(request: HttpRequest, id: UUID) -> HttpResponse:  # noqa: A002
    """The prompt and response of a call, for those who may read them; that they did is noted before they see it."""
    query = asked.read(request)
    call = _call(query, id)
    context = _about(request, query, call)
    if not request.user.has_perm(READ_BODY):
        return render(request, "dashboard/request.html", context, status=403)
    assert request.user.is_authenticated
    assert query.project is not None
    body: Body = read_body(call, query.project, request.user)
    response = render(request, "dashboard/request.html", context | {"body": body})
    response["Cache-Control"] = "private, no-store"
    return response


def _call(query: DashboardQuery, id: UUID) -> Call:  # noqa: A002
    call = search.find(query.project, id) if query.project is not None else None
    if call is None:
        raise Http404("There is no call with this id in the project: it is older than calls are kept, or mistyped.")
    return call


def _about(request: HttpRequest, query: DashboardQuery, call: Call) -> dict[str, Any]:
    back = query.string(**{"from": query.frm, "to": query.to}) if query.here != "?" else ""
    assert query.project is not None
    number = call.row.failure_group_id
    return {
        "query": query,
        "call": call,
        "facts": request_facts.facts(call),
        "flags": request_facts.flags(call),
        "failure_group": "" if number is None else search.words_of_failure_group(query.project, number),
        "alike": query.string(**dict.fromkeys(FILTERS, "") | {"failure": str(number)}),
        "limits": request_facts.limits(call),
        "attempts": request_facts.attempts(call),
        "bill": request_facts.bill(call),
        "budget": request_facts.budget(call),
        "hidden": request_facts.hidden(call),
        "hashes": request_facts.hashes(call),
        "judgement": judgement.judgement(call),
        "parameters": request_facts.parameters(call),
        "redactions": request_facts.redactions(call),
        "has_body": bool(call.row.flags & Flag.HAS_BODY),
        "may_read": request.user.has_perm(READ_BODY),
        "back": reverse("logs") + back,
    }


def _choices(query: DashboardQuery) -> dict[str, list[str]]:
    """Return the names people can pick; those with a great many are typed."""
    assert query.project is not None
    kinds = {
        "feature": DimensionKind.FEATURE,
        "model": DimensionKind.MODEL,
        "prompt_type": DimensionKind.PROMPT_TYPE,
    }
    return {field: sorted(dimensions.names(query.project.pk, kind).values())[:200] for field, kind in kinds.items()}
