"""The price book in the admin, and what the ingest floor noticed, to look at. Calls have pages of their own."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.http import HttpRequest

from ingest import pricebook
from ingest.models import ClientInstance, Price, Quarantined, SealedDay
from ingest.price_form import LONG_COLUMNS, PriceForm, dollars_for
from ingest.pricelist import TOKEN_COLUMNS

if TYPE_CHECKING:
    PriceAdminBase = admin.ModelAdmin[Price]
    AnyAdmin = admin.ModelAdmin[Any]
else:
    PriceAdminBase = AnyAdmin = admin.ModelAdmin  # Subscriptable for the type checker only.


@admin.register(Price)
class PriceAdmin(PriceAdminBase):
    """Rows are ended or corrected, never deleted: stored calls name the row they were priced with."""

    form = PriceForm
    list_display = (
        "model", "effective_from", "effective_until", "input_price", "output_price", "cache_read_price",
        "cache_write_5m_price", "cache_write_1h_price", "long_above", "verified_at",
    )  # fmt: skip
    list_filter = ("effective_from",)
    search_fields = ("model", "source")
    date_hierarchy = "effective_from"
    fieldsets = (
        (None, {"fields": ("model", "effective_from", "effective_until")}),
        ("US dollars per million tokens", {"fields": TOKEN_COLUMNS}),
        ("Long prompts: US dollars per million tokens", {"fields": ("long_threshold", *LONG_COLUMNS)}),
        ("Multipliers", {"fields": ("batch_multiplier", "fast_multiplier", "us_multiplier")}),
        ("Other", {"fields": ("web_search", "source", "verified_at")}),
    )

    @admin.display(description="input $/M", ordering="input")
    def input_price(self, price: Price) -> str:
        return dollars_for(price.input, 1_000_000)

    @admin.display(description="output $/M", ordering="output")
    def output_price(self, price: Price) -> str:
        return dollars_for(price.output, 1_000_000)

    @admin.display(description="cache read $/M", ordering="cache_read")
    def cache_read_price(self, price: Price) -> str:
        return dollars_for(price.cache_read, 1_000_000)

    @admin.display(description="write 5m $/M", ordering="cache_write_5m")
    def cache_write_5m_price(self, price: Price) -> str:
        return dollars_for(price.cache_write_5m, 1_000_000)

    @admin.display(description="write 1h $/M", ordering="cache_write_1h")
    def cache_write_1h_price(self, price: Price) -> str:
        return dollars_for(price.cache_write_1h, 1_000_000)

    @admin.display(description="long above", ordering="long_threshold", empty_value="–")
    def long_above(self, price: Price) -> str | None:
        return None if price.long_threshold is None else f"{price.long_threshold:,}"

    def has_delete_permission(self, request: HttpRequest, obj: Price | None = None) -> bool:  # noqa: ARG002  Django's signature
        return False

    def save_model(self, request: HttpRequest, obj: Price, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        pricebook.forget()
        since = f"{obj.effective_from:%Y-%m-%d}"
        messages.info(
            request,
            "New calls have this price within ten seconds. Calls already stored keep their cost until somebody runs: "
            f"manage.py reprice --since {since}",
        )


class ReadOnlyAdmin(AnyAdmin):
    """Records to look at: written by the product, changed by nobody."""

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002  Django's signature
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002  Django's signature
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002  Django's signature
        return False


@admin.register(Quarantined)
class QuarantinedAdmin(ReadOnlyAdmin):
    """Without the event itself: it may hold a prompt, and reading prompts needs a permission of its own."""

    list_display = ("received_at", "project", "event_id", "reason")
    list_filter = ("project",)
    search_fields = ("event_id", "reason")
    ordering = ("-received_at",)
    fields = ("project", "event_id", "received_at", "reason", "size")
    readonly_fields = ("size",)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        # An address may filter by any column, and filters that match or not would spell the prompt out.
        return lookup.partition("__")[0] != "event" and super().lookup_allowed(lookup, value, request)

    @admin.display(description="size")
    def size(self, event: Quarantined) -> str:
        return f"{len(event.event):,} bytes"


@admin.register(ClientInstance)
class ClientInstanceAdmin(ReadOnlyAdmin):
    list_display = ("instance", "project", "sdk", "first_seen_at", "last_seen_at", "emitted", "received", "losses")
    list_filter = ("project",)
    search_fields = ("instance", "boot_id")
    ordering = ("-last_seen_at",)

    @admin.display(description="given up", empty_value="none")
    def losses(self, client: ClientInstance) -> str | None:
        if not client.dropped:
            return None
        return ", ".join(f"{reason}: {count:,}" for reason, count in sorted(client.dropped.items()))


@admin.register(SealedDay)
class SealedDayAdmin(ReadOnlyAdmin):
    list_display = ("day", "sealed_at")
    ordering = ("-day",)
