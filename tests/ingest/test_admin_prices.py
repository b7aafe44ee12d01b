"""The price book in the admin."""

import uuid
from decimal import Decimal
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from ingest import pricebook
from ingest.models import ClientInstance, Price, Quarantined, RequestBody, RequestLog, SealedDay
from ingest.price_form import DollarsPer, PriceForm, dollars_for
from ingest.pricing import Cost
from ingest.usage import Usage
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("owner"))
    return client


def filled(**changes: Any) -> dict[str, Any]:
    """What a browser would post for a new price, in dollars."""
    return {
        "model": "claude-opus-6",
        "effective_from_0": "2026-11-01",
        "effective_from_1": "00:00:00",
        "effective_until_0": "",
        "effective_until_1": "",
        "input": "3.5",
        "output": "17.50",
        "cache_read": "0.175",
        "cache_write_5m": "4.375",
        "cache_write_1h": "7",
        "batch_multiplier": "0.5",
        "fast_multiplier": "",
        "us_multiplier": "1.1",
        "web_search": "10",
        "source": "the price page",
        "verified_at": "2026-11-22",
        **changes,
    }


def test_dollars_are_stored_as_exact_nano_dollars(browser: Client) -> None:
    answer = browser.post(reverse("admin:ingest_price_add"), filled(), follow=True)
    assert "manage.py reprice --since 2026-11-01" in answer.content.decode()
    row = Price.objects.get(model="claude-opus-6")
    assert (row.input, row.output, row.cache_read, row.cache_write_5m, row.cache_write_1h) == (
        3_500, 17_500, 175, 4_375, 7_000,
    )  # fmt: skip
    assert (row.provider, row.web_search, row.long_threshold, row.us_multiplier) == (
        "anthropic", 10_000_000, None, Decimal("1.1"),
    )  # fmt: skip


def test_a_price_is_shown_in_dollars_as_it_was_typed_and_saving_it_changes_nothing(browser: Client) -> None:
    row = Price.objects.get(model="claude-haiku-5-5")
    form = PriceForm(instance=row)
    shown = {bound.name: bound.value() for bound in form}
    assert [shown[name] for name in ("input", "output", "cache_read", "cache_write_5m", "cache_write_1h")] == [
        "0.1", "0.5", "0.01", "0.125", "0.2",
    ]  # fmt: skip
    assert (shown["long_input"], shown["long_threshold"], shown["web_search"]) == ("0.5", 100_000, "10")
    again = PriceForm(
        {name: "" if value is None else value for name, value in shown.items()}
        | {"effective_from": "2025-01-01 00:00:00"},
        instance=row,
    )
    assert again.is_valid(), again.errors
    assert again.changed_data == []
    before = Price.objects.filter(pk=row.pk).values().get()
    again.save()
    assert Price.objects.filter(pk=row.pk).values().get() == before


def test_an_edited_price_is_used_at_once_by_this_process(browser: Client) -> None:
    assert pricebook.current(NOW).price(Usage(input_tokens=1), "claude-opus-6", NOW) is None
    browser.post(reverse("admin:ingest_price_add"), filled())
    row = Price.objects.get(model="claude-opus-6")
    assert pricebook.current(NOW).price(Usage(input_tokens=1), "claude-opus-6", NOW) == Cost(3_500, row.pk)
    browser.post(reverse("admin:ingest_price_change", args=[row.pk]), filled(input="4"))
    assert pricebook.current(NOW).price(Usage(input_tokens=1), "claude-opus-6", NOW) == Cost(4_000, row.pk)


@pytest.mark.parametrize(
    ("changes", "field", "complaint"),
    [
        ({"input": "0.0005"}, "input", "Ensure that there are no more than 3 decimal places."),
        ({"output": "-1"}, "output", "Ensure this value is greater than or equal to 0."),
        ({"output": "NaN"}, "output", "Enter a number."),
        ({"output": ""}, "output", "This field is required."),
        ({"web_search": "0.0000005"}, "web_search", "Ensure that there are no more than 6 decimal places."),
        (
            {"effective_until_0": "2026-11-01", "effective_until_1": "00:00:00"},
            "effective_until",
            "A price ends after it begins.",
        ),
        ({"effective_from_0": ""}, "effective_from", "This field is required."),
        ({"long_input": "7"}, "long_threshold", "Long prices are given all together or not at all."),
        ({"long_threshold": "200000"}, "long_cache_write_1h", "Long prices are given all together or not at all."),
    ],
)
def test_what_cannot_be_a_price_is_refused_at_its_field(
    browser: Client, changes: dict[str, str], field: str, complaint: str
) -> None:
    answer = browser.post(reverse("admin:ingest_price_add"), filled(**changes))
    assert answer.status_code == 200
    form = answer.context["adminform"].form
    assert form.errors[field] == [complaint]
    assert not Price.objects.filter(model="claude-opus-6").exists()
    assert form["source"].value() == "the price page"


def test_what_was_typed_is_still_there_after_a_refusal(browser: Client) -> None:
    answer = browser.post(reverse("admin:ingest_price_add"), filled(input="0.00050"))
    assert answer.context["adminform"].form["input"].value() == "0.00050"


def test_a_second_price_from_the_same_moment_is_refused(browser: Client) -> None:
    browser.post(reverse("admin:ingest_price_add"), filled())
    answer = browser.post(reverse("admin:ingest_price_add"), filled(input="9"))
    assert answer.context["adminform"].form.errors == {
        "effective_from": ["This model has a price from this moment already: change that one."]
    }
    assert Price.objects.get(model="claude-opus-6").input == 3_500


def test_a_price_cannot_be_deleted(browser: Client) -> None:
    row = Price.objects.get(model="claude-sonnet-5")
    assert browser.post(reverse("admin:ingest_price_delete", args=[row.pk]), {"post": "yes"}).status_code == 403
    assert Price.objects.filter(pk=row.pk).exists()


def test_the_list_shows_dollars_per_million_tokens(browser: Client) -> None:
    page = browser.get(reverse("admin:ingest_price_changelist"), {"q": "claude-haiku-5-5"}).content.decode()
    for cell in ("0.1", "0.5", "0.01", "0.125", "0.2", "100,000"):
        assert f">{cell}</td>" in page


def test_a_field_that_cannot_be_read_has_changed() -> None:
    field = DollarsPer(1_000_000)
    assert field.has_changed(2_000, "two")
    assert field.has_changed(2_000, "2.001")
    assert not field.has_changed(2_000, "2.00")


@pytest.mark.parametrize(
    ("nanousd", "units", "shown"),
    [
        (0, 1_000_000, "0"),
        (1, 1_000_000, "0.001"),
        (10, 1_000_000, "0.01"),
        (40_000, 1_000_000, "40"),
        (100_000, 1_000_000, "100"),
        (12_500, 1_000_000, "12.5"),
        (10_000_000, 1_000, "10"),
        (1, 1_000, "0.000001"),
    ],
)
def test_dollars_have_no_needless_decimals_and_come_back_exactly(nanousd: int, units: int, shown: str) -> None:
    assert dollars_for(nanousd, units) == shown
    assert DollarsPer(units).clean(shown) == nanousd


def test_calls_and_bodies_are_not_in_the_admin() -> None:
    assert not admin.site.is_registered(RequestLog)
    assert not admin.site.is_registered(RequestBody)


def test_records_of_the_ingest_floor_can_be_seen_and_not_changed(browser: Client) -> None:
    project = factories.project()
    quarantined = Quarantined.objects.create(
        project=project, event_id=uuid.uuid4(), received_at=NOW, reason="too old", event=b'{"content": "a secret"}'
    )
    client = ClientInstance.objects.create(
        project=project, instance="web-3/4711", boot_id=uuid.uuid4(), first_seen_at=NOW, last_seen_at=NOW,
        emitted=1200, dropped={"overflow": 3, "closed": 1000},
    )  # fmt: skip
    sealed = SealedDay.objects.create(day=NOW.date(), sealed_at=NOW)
    for record in (quarantined, client, sealed):
        name = f"admin:ingest_{record._meta.model_name}"
        assert browser.get(reverse(f"{name}_changelist")).status_code == 200
        assert browser.get(reverse(f"{name}_change", args=[record.pk])).status_code == 200
        assert browser.post(reverse(f"{name}_change", args=[record.pk]), {}).status_code == 403
        assert browser.get(reverse(f"{name}_add")).status_code == 403
        assert browser.post(reverse(f"{name}_delete", args=[record.pk]), {"post": "yes"}).status_code == 403
    listed = browser.get(reverse("admin:ingest_clientinstance_changelist")).content.decode()
    assert "closed: 1,000, overflow: 3" in listed
    shown = browser.get(reverse("admin:ingest_quarantined_change", args=[quarantined.pk])).content.decode()
    assert "23 bytes" in shown
    assert "a secret" not in shown
