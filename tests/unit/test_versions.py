"""A second version of the API beside the first, and the end of the first announced."""

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from asked import TRIP, ask, loaded
from preflight.serving.app import ModelService
from preflight.serving.exchange import Exchange, deprecation
from preflight.serving.service import Route

SINCE, STAMP = date(2027, 1, 1), "@1798761600"  # date -u -d 2027-01-01 +%s
Served = tuple[ModelService, str]


@pytest.fixture(scope="module")
def served(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service that answers /v2/predict beside /v1/predict, with its key.

    The second version names its number differently, as /v1 could not without breaking callers.
    """
    with loaded(built, tmp_path_factory.mktemp("keys")) as (service, key):

        async def second(exchange: Exchange) -> None:
            columns = service.decoder.one(await exchange.body(service.limits.max_line_bytes))
            found = service.answerer.one(columns, exchange.caller.bucket, service.switches.mode)
            answer = {"minutes": found.value, "flags": found.flags}
            await exchange.answer(json.dumps(answer).encode())

        first = service.routes["/v1/predict"]
        assert (first.name, first.version) == ("predict", "v1")
        service.routes["/v2/predict"] = Route("predict", "POST", second, "v2", "predict")
        yield service, key


@pytest.fixture
def deprecated(served: Served, monkeypatch: pytest.MonkeyPatch) -> Served:
    """The same service under `serving.deprecated: 2027-01-01`."""
    monkeypatch.setattr(served[0], "_deprecated", deprecation(SINCE))
    return served


def counted(service: ModelService, version: str, status: str = "200") -> float:
    """Requests of one version, as the metrics have them."""
    labels = {"route": "predict", "version": version, "client": "tests", "status": status}
    return service.metrics.registry.get_sample_value("preflight_requests_total", labels) or 0


def test_two_versions_answer_side_by_side(served: Served) -> None:
    service, key = served
    first = ask(service, "POST", "/v1/predict", key, json=TRIP)
    second = ask(service, "POST", "/v2/predict", key, json=TRIP)
    assert (first.status_code, second.status_code) == (200, 200)
    assert second.json()["minutes"] == first.json()["value"]
    assert "minutes" not in first.json()
    assert "value" not in second.json()


def test_the_door_is_the_same_for_both(served: Served) -> None:
    for path in ("/v1/predict", "/v2/predict"):
        assert ask(served[0], "POST", path, json=TRIP).status_code == 401
        assert ask(served[0], "GET", path, served[1]).status_code == 405
        refused = ask(served[0], "POST", path, served[1], json={})
        assert (refused.status_code, refused.json()["field"]) == (422, "pickup_at")


def test_usage_is_counted_by_version(served: Served) -> None:
    service, key = served
    before = counted(service, "v1"), counted(service, "v2"), counted(service, "v2", "422")
    ask(service, "POST", "/v1/predict", key, json=TRIP)
    for _ in range(2):
        ask(service, "POST", "/v2/predict", key, json=TRIP)
    ask(service, "POST", "/v2/predict", key, json={})
    after = counted(service, "v1"), counted(service, "v2"), counted(service, "v2", "422")
    assert [b - a for a, b in zip(before, after, strict=True)] == [1, 2, 1]


def test_no_version_is_deprecated_until_a_date_says_so(served: Served) -> None:
    for path in ("/v1/predict", "/v2/predict"):
        assert "deprecation" not in ask(served[0], "POST", path, served[1], json=TRIP).headers


@pytest.mark.parametrize("path", ["/v1/predict", "/v1/predict/batch", "/v1/predict/lines"])
def test_a_deprecated_version_says_since_when(deprecated: Served, path: str) -> None:
    body = {"instances": [TRIP]} if path.endswith("batch") else TRIP
    found = ask(deprecated[0], "POST", path, deprecated[1], json=body)
    assert (found.status_code, found.headers["deprecation"]) == (200, STAMP)


def test_a_refusal_of_a_deprecated_version_says_so_too(deprecated: Served) -> None:
    found = ask(deprecated[0], "POST", "/v1/predict", deprecated[1], json={})
    assert (found.status_code, found.headers["deprecation"]) == (422, STAMP)


def test_the_version_that_follows_is_not_deprecated_with_the_first(deprecated: Served) -> None:
    found = ask(deprecated[0], "POST", "/v2/predict", deprecated[1], json=TRIP)
    assert found.status_code == 200
    assert "deprecation" not in found.headers


@pytest.mark.parametrize("path", ["/version", "/openapi.json"])
def test_what_has_no_version_is_never_deprecated(deprecated: Served, path: str) -> None:
    assert "deprecation" not in ask(deprecated[0], "GET", path, deprecated[1]).headers
