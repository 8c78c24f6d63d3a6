"""Before a release goes into Git, its draft and each link up to its image hold."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from delivered import drafted
from preflight import params
from preflight.chain import claim, verify
from preflight.chain.claim import Claim
from preflight.chain.links import Compared, NotAsked, Step
from preflight.delivery import verified
from preflight.delivery.draft import Draft
from preflight.errors import NoData, Problem
from released import started

Check = Callable[[], Iterable[Compared]]
REGISTRY = params.Registry(uri="sqlite:///x.db", name="taxi-duration", images="images")


@pytest.fixture
def made(tmp_path: Path) -> Draft:
    """The draft of a commit."""
    return drafted(started(tmp_path / "repository"), "3")


def said(made: Draft) -> Claim:
    """What its image says of itself."""
    return Claim(
        kind="image",
        named=made.image,
        commit=made.commit,
        registry=REGISTRY,
        model=made.model.name,
        version=made.model.version,
        hash=made.model.hash,
        data=made.data,
        evidence=made.evidence,
        bento=made.bento,
        image=made.image,
    )


def holds() -> Iterable[Compared]:
    return [Compared("version", "3", "3")]


def beyond() -> Iterable[Compared]:
    raise NotAsked("it lies beyond")


def gone() -> Iterable[Compared]:
    raise NoData("registry taxi-duration", "no version 3", "it", "Register it again.")


def moved() -> Iterable[Compared]:
    return [Compared("v3-abc", "sha256:1", "sha256:2")]


def chain(monkeypatch: pytest.MonkeyPatch, found: Claim, *checks: Check) -> None:
    """Let the image say so, and the chain have such links."""
    steps = tuple(Step("link", ("here", "there"), each, "Mend it.") for each in checks)
    monkeypatch.setattr(claim, "of", lambda *_: found)
    monkeypatch.setattr(verify, "steps", lambda *_: steps)


def test_links_that_hold_or_lie_beyond_let_it_through(
    made: Draft, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain(monkeypatch, said(made), holds, beyond)
    walked = verified.require(Path(), made)
    assert [link.status for link in walked] == ["holds", "not asked"]


def test_a_link_that_differs_is_told_with_both_sides(
    made: Draft, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain(monkeypatch, said(made), holds, moved)
    with pytest.raises(Problem, match=r"found v3-abc sha256:2; expected v3-abc sha256:1\. Mend it"):
        verified.require(Path(), made)


def test_an_absent_end_is_no_data(made: Draft, monkeypatch: pytest.MonkeyPatch) -> None:
    chain(monkeypatch, said(made), gone)
    with pytest.raises(NoData, match="no version 3"):
        verified.require(Path(), made)


@pytest.mark.parametrize(
    "field", ["commit", "model", "version", "hash", "data", "evidence", "bento"]
)
def test_an_image_that_says_another_than_the_draft_is_refused(
    made: Draft, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    other: dict[str, Any] = {field: "another"}
    chain(monkeypatch, replace(said(made), **other), holds)
    with pytest.raises(Problem, match="found another; expected the draft's, "):
        verified.require(Path(), made)
