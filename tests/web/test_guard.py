"""Who is let in: by host, origin, token, rate."""

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from umeta.core.errors import InputError
from umeta.web.guard import Guard, check_binding, is_loopback

TOKEN = "long-enough-secret"


def guarded(host="127.0.0.1", token=None, **options):
    app = FastAPI()
    app.get("/api/x")(lambda: {"ok": True})
    app.get("/page")(lambda: {"ok": True})
    return TestClient(Guard(app, host, token, **options), base_url="http://127.0.0.1:8000")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8000", "localhost:1", "[::1]:8000", "[::1]"])
def test_names_of_this_machine(host):
    assert guarded().get("/api/x", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8000", "localhost.evil.example", "", "10.0.0.1", "[::2]:80"])
def test_other_names_are_refused_lest_a_site_rebinds_its_name(host):
    answer = guarded().get("/api/x", headers={"host": host})
    assert (answer.status_code, list(answer.json())) == (403, ["detail"])


def test_other_names_where_the_server_is_bound_to_them():
    client = guarded("10.0.0.1", TOKEN)
    bearer = {"authorization": f"Bearer {TOKEN}"}
    assert client.get("/api/x", headers={"host": "10.0.0.1:8000", **bearer}).status_code == 200
    assert client.get("/api/x", headers={"host": "10.0.0.2:8000", **bearer}).status_code == 403
    assert guarded("0.0.0.0", TOKEN).get("/api/x", headers={"host": "my.machine", **bearer}).status_code == 200


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://127.0.0.1:8000", 200),
        ("http://127.0.0.1:9000", 403),
        ("http://evil.example", 403),
        ("null", 403),
        ("http://127.0.0.1:8000.evil.example", 403),
    ],
)
def test_requests_from_pages_of_other_sites_are_refused(origin, status):
    answer = guarded().get("/api/x", headers={"origin": origin})
    assert answer.status_code == status
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("given", [None, "", "Bearer", "Bearer wrong", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer é"])
def test_without_the_token_the_api_is_closed_and_the_page_is_open(given):
    client = guarded(token=TOKEN)
    headers = {} if given is None else {"authorization": given.encode()}
    assert client.get("/api/x", headers=headers).status_code == 401
    assert client.get("/page", headers=headers).status_code == 200
    assert client.get("/api/x", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200


def test_the_rate_is_limited_and_recovers():
    now = 0.0
    client = guarded(rate=2.0, burst=5.0, clock=lambda: now)
    assert [client.get("/api/x").status_code for _ in range(6)] == [200] * 5 + [429]
    refused = client.get("/api/x")
    assert "wait a second" in refused.json()["detail"] and refused.headers["retry-after"] == "1"
    now = 1.5
    assert [client.get("/api/x").status_code for _ in range(4)] == [200, 200, 200, 429]


@pytest.mark.parametrize(("host", "expected"), [("127.0.0.1", True), ("127.8.0.1", True), ("::1", True), ("localhost", True),
                                                ("0.0.0.0", False), ("192.168.0.1", False), ("example.org", False)])  # fmt: skip
def test_an_address_that_others_reach_needs_a_token(host, expected):
    assert is_loopback(host) == expected
    check_binding(host, TOKEN)
    if not expected:
        with pytest.raises(InputError, match="give --token"):
            check_binding(host, None)
    with pytest.raises(InputError, match="at least 8 printable"):
        check_binding(host, "seven77")
