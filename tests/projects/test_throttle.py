"""Tries to sign in are counted, and those who guess have to wait."""

from datetime import timedelta
from http import HTTPStatus

import pytest
from django.contrib.auth.models import User
from django.test import Client, RequestFactory
from pytest_django.fixtures import Settings

from projects.models import SignInTries
from projects.throttle import MOST_OF_ONE_ADDRESS, MOST_OF_ONE_NAME, WINDOW, address_of, admit, forget
from tests.factories import NOW

pytestmark = pytest.mark.django_db

HERE, THERE = "192.0.2.1", "192.0.2.2"


def test_ten_tries_of_a_name_from_one_address_are_admitted_and_the_next_are_not() -> None:
    assert [admit("anna", HERE, NOW) for _ in range(12)] == [True] * 10 + [False] * 2
    assert MOST_OF_ONE_NAME == 10


def test_another_name_and_another_address_are_not_touched_by_it() -> None:
    for _ in range(11):
        admit("anna", HERE, NOW)
    assert admit("ben", HERE, NOW)
    assert admit("anna", THERE, NOW)


def test_capital_letters_do_not_make_another_name() -> None:
    for _ in range(10):
        admit("anna", HERE, NOW)
    assert not admit("ANNA", HERE, NOW)


def test_one_address_cannot_go_through_a_list_of_names() -> None:
    answers = [admit(f"user-{number}", HERE, NOW) for number in range(102)]
    assert answers == [True] * 100 + [False] * 2
    assert MOST_OF_ONE_ADDRESS == 100


def test_a_window_ends_a_quarter_of_an_hour_after_its_first_try() -> None:
    for _ in range(11):
        admit("anna", HERE, NOW)
    assert not admit("anna", HERE, NOW + WINDOW - timedelta(microseconds=1))
    assert admit("anna", HERE, NOW + WINDOW)
    assert [admit("anna", HERE, NOW + WINDOW) for _ in range(10)] == [True] * 9 + [False]


def test_what_is_over_is_not_kept() -> None:
    admit("anna", HERE, NOW)
    admit("ben", THERE, NOW + WINDOW)
    assert SignInTries.objects.count() == 2


def test_the_right_password_takes_back_the_wrong_ones_of_its_name_only() -> None:
    for _ in range(10):
        admit("anna", HERE, NOW)
        admit("ben", HERE, NOW)
    forget("anna", HERE)
    assert admit("anna", HERE, NOW)
    assert not admit("ben", HERE, NOW)


def test_a_house_full_of_people_who_know_their_passwords_is_never_shut_out() -> None:
    for number in range(150):
        assert admit(f"user-{number}", HERE, NOW)
        forget(f"user-{number}", HERE)
    assert [admit(f"guess-{number}", HERE, NOW) for number in range(101)] == [True] * 100 + [False]


def test_neither_name_nor_address_is_stored() -> None:
    admit("anna", HERE, NOW)
    assert all(len(digest) == 64 for digest in SignInTries.objects.values_list("digest", flat=True))


@pytest.mark.parametrize("page", ["/login/", "/admin/login/"])
def test_after_ten_wrong_passwords_the_right_one_is_refused_as_well(client: Client, page: str) -> None:
    User.objects.create_superuser("anna", password="right")
    for _ in range(10):
        assert client.post(page, {"username": "anna", "password": "wrong"}).status_code == HTTPStatus.OK
    refused = client.post(page, {"username": "anna", "password": "right"})
    assert refused.status_code == HTTPStatus.OK
    assert "_auth_user_id" not in client.session
    told = "Too many tries. Wait a quarter of an hour, then try again." in refused.content.decode()
    assert told == (page == "/login/")
    elsewhere = client.post(page, {"username": "anna", "password": "right"}, REMOTE_ADDR=THERE)
    assert elsewhere.status_code == HTTPStatus.FOUND


def test_nine_mistypings_and_the_right_password_sign_in_and_are_forgotten(client: Client) -> None:
    User.objects.create_user("anna", password="right")
    for _ in range(2):
        for _ in range(9):
            client.post("/login/", {"username": "anna", "password": "wrong"})
        assert client.post("/login/", {"username": "anna", "password": "right"})["Location"] == "/"


@pytest.mark.parametrize(
    ("behind_tls", "forwarded", "address"),
    [
        (False, "203.0.113.9", "127.0.0.1"),
        (True, "203.0.113.9", "203.0.113.9"),
        (True, "made up, 203.0.113.9", "203.0.113.9"),
        (True, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        (True, "nonsense", ""),
        (True, None, "127.0.0.1"),
    ],
)
def test_the_address_is_the_proxys_word_only_where_there_is_a_proxy(
    settings: Settings, behind_tls: bool, forwarded: str | None, address: str
) -> None:
    settings.BEHIND_TLS = behind_tls
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    assert address_of(RequestFactory().get("/", headers=headers)) == address
