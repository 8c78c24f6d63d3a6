"""Each odd request is answered or refused as its contract implies, by the service itself."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from asked import ask, loaded
from preflight import oddities, params, project
from preflight.oddities import Oddity
from preflight.serving.app import ModelService

PARAMS = params.load()
CONTRACT = project.contract(PARAMS.project)
ODDITIES = oddities.requests(CONTRACT, PARAMS.serving)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ModelService, str]]:
    """The service over this checkout's packaged model, and a key."""
    with loaded(Path.cwd(), tmp_path_factory.mktemp("keys")) as found:
        yield found


@pytest.mark.parametrize("oddity", [pytest.param(each, id=each.name) for each in ODDITIES])
def test_it_is_answered_or_refused_as_defined(
    asked: tuple[ModelService, str], oddity: Oddity
) -> None:
    answer = ask(asked[0], "POST", oddity.route, asked[1], content=oddity.body)
    media = answer.headers["content-type"]
    wrong = oddities.breaches(oddity, CONTRACT, answer.status_code, media, answer.text)
    assert not wrong, "; ".join(wrong[:3])
