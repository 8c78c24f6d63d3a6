"""release.yml does what its YAML states, from a merge to the commit that lets staging run it."""

from collections.abc import Iterator
from pathlib import Path
from shutil import copytree

import pytest

from conftest import git
from fake_github import BOT
from preflight.delivery import overlay
from preflight.release import Rollout
from workflow.release_rehearsal import World, world
from workflow.runner import Result

PENDING = Rollout(verdict="pending", at=None)


def results(done: dict[str, Result]) -> dict[str, str]:
    """Results by job."""
    return {name: each.result for name, each in done.items()}


@pytest.fixture(scope="module")
def place(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world in which nothing was released."""
    folder = tmp_path_factory.mktemp("release")
    source = folder / "source"
    copytree(built, source, symlinks=True)
    with world(source, folder / "world") as found:
        yield found


@pytest.fixture(scope="module")
def staged(place: World) -> World:
    """After a merge to main."""
    assert results(place.release())["stage"] == "success", place.log("build") + place.log("stage")
    return place


def test_the_template_itself_releases_nothing(place: World) -> None:
    named = place.variables.pop("RELEASES")
    try:
        ran = (
            place.release(),
            place.told("staging", "promoted", "1-a"),
            place.rollback("staging", "x"),
        )
    finally:
        place.variables["RELEASES"] = named
    assert {end for each in ran for end in results(each).values()} == {"skipped"}


def test_a_merge_leads_to_one_commit_that_lets_staging_run_it(staged: World) -> None:
    record = staged.record("staging")
    assert record is not None
    assert record.rollout == PENDING
    assert staged.touched() == set(overlay.places("staging"))
    assert record.image in staged.text(overlay.places("staging")[2])


def test_the_bot_makes_the_commit(staged: World) -> None:
    shown = git(staged.remote, "show", "--no-patch", "--format=%an, %cn", "main")
    assert shown.strip() == f"{BOT}, {BOT}"


def test_what_is_released_is_signed_and_attested_by_its_digest(staged: World) -> None:
    record = staged.record("staging")
    assert record is not None
    assert [line.endswith(f"@{record.image}") for line in staged.stand_ins.signed()] == [True]
    attested = staged.stand_ins.given("actions/attest")
    assert {each["subject-digest"] for each in attested} == {record.image}
    asked = [each.get("predicate-path", each.get("sbom-path", "")) for each in attested]
    assert asked == ["", "reports/sbom.spdx.json", "reports/release-evidence.json"]


def test_what_staging_promoted_is_verified_and_proposed_to_production(staged: World) -> None:
    done, ends = staged.told("staging", "promoted"), ("settle", "resume", "promote")
    assert results(done) == dict.fromkeys(ends, "success"), staged.log("promote")
    assert "staging: the chain holds" in staged.log("promote")
    assert staged.touched(staged.fake.pulls[0]["head"]["ref"]) == set(overlay.places("production"))
