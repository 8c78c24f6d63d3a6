"""`preflight probation`: a promoted release beside the champion before it, by what happened."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

import logged
from conftest import commit, git
from preflight import reference, workspace
from preflight.cli import Commands
from preflight.errors import NoData
from preflight.layout import PACKAGED
from preflight.release import PLACE as RECORD
from preflight.release import current
from preflight.rollout import shadow
from preflight.rollout.paired import Pairs
from preflight.rollout.probation import pairs
from preflight.rollout.probation_commands import probation
from preflight.serving.sinks import PLACE
from preflight.watch import models
from preflight.watch.models import Here
from preflight.watch.outcomes import Window
from released import release, release_of, started
from rollouts import LIMITS
from taxi.contract import CONTRACT

ROWS = 3_000
NEW = "2" * 64  # the hash of release 2's model
WINDOW = Window(logged.START.replace(tzinfo=None), datetime(2021, 2, 4), timedelta(hours=24))
Record = dict[str, Any]


@pytest.fixture(scope="module")
def champion(built: Path) -> Here:
    """The model of the release before: the small repository's."""
    return Here(built / PACKAGED)


@pytest.fixture(scope="module")
def answered(champion: Here) -> list[Record]:
    """What the same model would have answered under the new release's hash."""
    requests = reference.columns(CONTRACT, ROWS)
    values = champion.answers(requests)["given"].tolist()
    made = logged.predictions(ROWS, model_hash=NEW, model_version="2")
    rows = zip(made, reference.instances(requests), values, strict=True)
    return [each | {"input": row, "value": value} for each, row, value in rows]


def happened(answered: list[Record]) -> list[Record]:
    """Outcomes within 4 minutes of those answers."""
    made = logged.outcomes(answered)
    return [
        outcome | {"value": min(60.0, max(1.0, each["value"] + place % 9 - 4))}
        for place, (each, outcome) in enumerate(zip(answered, made, strict=True))
    ]


def worse(answered: list[Record]) -> list[Record]:
    """Every second answer 8 minutes too high."""
    return [
        each | {"value": each["value"] + 8 * (place % 2)} for place, each in enumerate(answered)
    ]


def asked(champion: Here, folder: Path, made: list[Record], told: list[Record]) -> Pairs:
    """Pairs of a log of these records."""
    logged.write(folder, "predictions", made)
    logged.write(folder, "outcomes", told)
    return pairs(champion, NEW, folder, WINDOW, CONTRACT.target)


def test_the_same_model_makes_pairs_that_agree_to_the_last_bit_and_stays(
    champion: Here, answered: list[Record], tmp_path: Path
) -> None:
    found = asked(champion, tmp_path, answered, happened(answered))
    assert len(found.stable) == ROWS
    assert np.array_equal(found.stable, found.shadow)
    assert shadow.judge(found, LIMITS).result == "promote"


def test_a_worse_model_is_found_on_the_same_inputs(
    champion: Here, answered: list[Record], tmp_path: Path
) -> None:
    found = asked(champion, tmp_path, worse(answered), happened(answered))
    assert float((found.shadow - found.stable).mean()) == pytest.approx(4.0)
    assert shadow.judge(found, LIMITS).result == "abort"


def test_only_answers_that_the_new_model_gave_to_somebody_are_paired(
    champion: Here, answered: list[Record], tmp_path: Path
) -> None:
    made = [dict(each) for each in answered[:60]]
    odd = ({"model_hash": "1" * 64}, {"arm": "shadow"}, {"mode": "fallback"})
    for place, change in enumerate(odd):
        made[10 * place] |= change
    found = asked(champion, tmp_path, made, happened(made))
    values = [each["value"] for place, each in enumerate(made) if place not in (0, 10, 20)]
    assert sorted(found.shadow.tolist()) == sorted(values)


def test_an_input_that_the_champion_refuses_is_in_no_pair_and_counted(
    champion: Here, answered: list[Record], tmp_path: Path
) -> None:
    made = [dict(each) for each in answered[:50]]
    made[7]["input"] = made[7]["input"] | {"trip_distance": 101.0}
    found = asked(champion, tmp_path, made, happened(made))
    assert (len(found.stable), found.single) == (49, 1)
    assert np.array_equal(found.stable, found.shadow)


def test_predictions_without_an_outcome_are_pairs_without_one(
    champion: Here, answered: list[Record], tmp_path: Path
) -> None:
    made = answered[:50]
    found = asked(champion, tmp_path, made, happened(made)[:20])
    assert (len(found.stable), len(found.labelled().stable)) == (50, 20)


def test_a_model_that_answered_nothing_is_no_data(
    champion: Here, answered: list[Record], tmp_path: Path
) -> None:
    with pytest.raises(NoData, match="model 222222222222: found no prediction by it"):
        asked(champion, tmp_path, [each | {"model_hash": "1" * 64} for each in answered[:9]], [])


@pytest.fixture
def root(built: Path, champion: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository in which release 1, the small model, was promoted, and release 2 after it."""
    place = started(tmp_path / "repository")
    (place / "params.yaml").write_bytes((built / "params.yaml").read_bytes())
    commit(place, "Parameters")
    (place / PACKAGED).parent.mkdir()
    (place / PACKAGED).symlink_to(built / PACKAGED)
    model = {"name": "taxi-duration", "version": "1", "hash": champion.model_hash}
    release(place, release_of("1", model=model))
    release(place, release_of("2"))
    monkeypatch.setattr(workspace, "root", lambda: place)
    monkeypatch.setenv(PLACE, str(tmp_path / "log"))
    return place


def run(tmp_path: Path, made: list[Record], told: list[Record], *words: str) -> Result:
    """Ask the command about a log of these records."""
    logged.write(tmp_path / "log", "predictions", made)
    logged.write(tmp_path / "log", "outcomes", told)
    group = Commands()
    group.add_command(probation)
    given = ("probation", "production", "--from", "2021-02-03", *words)
    return CliRunner().invoke(group, given)


def test_the_command_is_green_for_the_same_model_and_commits_nothing(
    root: Path, answered: list[Record], tmp_path: Path
) -> None:
    before = git(root, "rev-parse", "HEAD")
    done = run(tmp_path, answered, happened(answered), "--rollback")
    assert done.exit_code == 0, done.output
    assert "2-222222222222 on probation since 2021-02-03 00:00 UTC, beside 1-1" in done.stdout
    assert "PROMOTE: " in done.stdout
    assert git(root, "rev-parse", "HEAD") == before


def test_the_command_is_red_for_a_worse_model_and_leaves_the_rollback_to_who_asked(
    root: Path, answered: list[Record], tmp_path: Path
) -> None:
    before = git(root, "rev-parse", "HEAD")
    done = run(tmp_path, worse(answered), happened(answered), "--previous", "1")
    assert done.exit_code == 1, done.output
    assert "ABORT: " in done.stdout
    assert git(root, "rev-parse", "HEAD") == before


def test_asked_to_it_makes_the_rollback_with_the_verdicts_reason(
    root: Path, answered: list[Record], tmp_path: Path
) -> None:
    done = run(tmp_path, worse(answered), happened(answered), "--rollback")
    assert done.exit_code == 1, done.output
    found = current(root, "production")
    assert found is not None
    assert found.id == "1-111111111111"
    reason = git(root, "show", "--no-patch", "--format=%(trailers:key=Reason,valueonly)")
    assert reason.startswith("Probation: ")
    assert "the candidate is worse" in reason


def test_too_few_outcomes_are_no_verdict(
    root: Path, answered: list[Record], tmp_path: Path
) -> None:
    done = run(tmp_path, answered, happened(answered)[:100], "--rollback")
    assert done.exit_code == 2, done.output
    assert "CONTINUE: 100 pairs with an outcome; 200 are needed." in done.stdout


def test_without_a_log_it_says_how_productions_comes_here(root: Path) -> None:
    group = Commands()
    group.add_command(probation)
    done = CliRunner().invoke(group, ["probation", "production", "--from", "2021-02-03"])
    assert done.exit_code == 2
    assert done.stderr.startswith("error: not judged, no data: ")
    assert "Copy log/NAMESPACE from the storage" in done.stderr
    assert "(docs/log.md), and let PREFLIGHT_LOG name the copy" in done.stderr


def test_a_time_to_come_is_a_mistake(root: Path, tmp_path: Path) -> None:
    done = run(tmp_path, [], [], "--from", "2121-02-03")
    assert done.exit_code == 2
    assert "not judged, a mistake: --from: found 2121-02-03 00:00, which is to come" in done.stderr


def test_a_record_that_cannot_be_read_is_not_on_probation(root: Path, tmp_path: Path) -> None:
    (root / RECORD.format(environment="production")).write_text("environment: production\n")
    commit(root, "Break the record")
    done = run(tmp_path, [], [])
    assert done.exit_code == 2
    assert "not judged, a mistake: deploy/overlays/production/release.yaml at " in done.stderr


def test_who_has_no_name_is_asked_for_one_before_the_walk(
    root: Path, answered: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "exact", None)  # to walk would fail
    for place in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(place, "/dev/null")
    git(root, "config", "--unset", "user.name")
    done = run(tmp_path, answered[:9], [], "--rollback")
    assert done.exit_code == 2
    assert "not judged, a mistake: git's user.name: found none" in done.stderr


def test_a_release_that_was_gone_back_to_is_judged_beside_one_that_is_named(
    root: Path, tmp_path: Path
) -> None:
    git(root, "revert", "--no-edit", "HEAD")
    done = run(tmp_path, [], [])
    assert done.exit_code == 2
    assert "To go further name one by --previous: 2-222222222222." in done.stderr


def test_a_release_whose_rollout_has_not_ended_is_not_on_probation(
    root: Path, answered: list[Record], tmp_path: Path
) -> None:
    release(root, release_of("3", "pending"))
    done = run(tmp_path, answered[:9], [])
    assert done.exit_code == 2
    assert "3-333333333333 in production: found one that is pending" in done.stderr


def test_what_keeps_the_rollback_from_being_made_is_told_before_the_walk(
    root: Path, answered: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "exact", None)  # to walk would fail
    (root / "dvc.lock").write_text("stages: {a: b}\n")
    done = run(tmp_path, answered[:9], [], "--rollback")
    assert done.exit_code == 2
    assert "uncommitted changes" in done.stderr
