"""`preflight trace`: a prediction's whole way back, and what is said where a link is missing."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import logged
import traced
from conftest import git
from preflight import project, workspace
from preflight.chain import lineage_commands, reasons, sections, source
from preflight.chain import trace as tracing
from preflight.chain.trace import Trace
from preflight.cli import Commands
from preflight.errors import NoData, Problem
from preflight.explanation import EQUAL, Explanation, Share
from preflight.watch import explain
from taxi.contract import CONTRACT
from traced import HASH, Traced, after

LINES = 60
Made = Callable[..., Trace]


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Traced:
    """The history of `traced`; tests only read it."""
    return traced.history(tmp_path_factory.mktemp("traced") / "repository")


@pytest.fixture
def made(known: Traced, tmp_path: Path) -> Made:
    """Trace a prediction of the second model at an hour, with fields of its record laid over."""

    def trace(hours: float, environment: str | None = None, **fields: Any) -> Trace:
        record = one(known, hours, **fields)
        logged.write(tmp_path, "predictions", [record])
        return tracing.trace(known.root, tmp_path, record["id"], environment)

    return trace


def one(known: Traced, hours: float, version: str = "2", **fields: Any) -> dict[str, Any]:
    """The record of a prediction of a released model."""
    commit = known.models[int(version) - 1]
    own: dict[str, Any] = {"model_version": version, "model_hash": HASH, "commit": commit}
    (found,) = logged.predictions(1, after(hours), bento=f"taxi:v{version}-{commit[:12]}", **own)
    return found | fields


def asked(known: Traced, folder: Path, monkeypatch: pytest.MonkeyPatch, *words: str) -> Result:
    """What `preflight trace` says of a log."""
    monkeypatch.setattr(workspace, "root", lambda: known.root)
    house = Commands("main", commands=[lineage_commands.trace])
    return CliRunner().invoke(house, ["trace", *words, "--log", str(folder)])


def test_every_link_of_a_canarys_answer_is_named(known: Traced, made: Made) -> None:
    found = made(13.5, arm="canary")
    assert found.odd == ()
    assert [(each.stint.environment, each.role) for each in found.standings] == [
        ("production", "canary"),
        ("staging", "stable"),
    ]
    text, commit = sections.shown(found), known.models[1]
    release = found.standings[0].stint.release
    assert len(text.splitlines()) <= LINES
    for link in (
        found.record["id"],
        "pickup_zone",
        "canary; mode normal",
        "0, 5, 20, 50 or 100 %, as 2-",
        f"sha256:{HASH}",
        f"taxi:v2-{commit[:12]}",
        release.image,
        f"2-{commit[:12]} in production: canary at that time",
        "by ada at 2026-03-01 21:00 UTC",
        f"by bob, of {commit[:12]}, review review 77",
        "promoted at 2026-03-01 22:00 UTC: no worse by each metric",
        release.evidence,
        "3 of 3 green",
        "pull request 9, run https://builds.example/runs/5",
        "Take `March` in",
        f"md5 {traced.MARCH}, data/raw/2021-03.parquet",
        release.data,
        "learning_rate 0.05",
        "serve.txt",
    ):
        assert link in text


@pytest.mark.parametrize(
    ("hours", "version", "environment", "role", "percent"),
    [
        (1.5, "1", "staging", "canary", (100,)),  # the first: nobody else had any
        (13.5, "2", "production", "canary", (0, 5, 20, 50, 100)),
        (13.5, "1", "production", "stable", (0, 5, 20, 50, 100)),
        (15.0, "2", "production", "stable", (0,)),
        (15.0, "1", "production", "absent", (0,)),
        (21.0, "1", "production", "stable", (0,)),  # by the rollback, which takes no steps
        (31.5, "3", "staging", "canary", (0, 5, 20, 50, 100)),
        (31.5, "2", "staging", "stable", (0, 5, 20, 50, 100)),
        (33.0, "2", "staging", "stable", (0,)),  # as the other was aborted
        (33.0, "3", "staging", "absent", (0,)),
    ],
)
def test_role_and_weight_are_those_of_the_time(
    known: Traced,
    made: Made,
    hours: float,
    version: str,
    environment: str,
    role: str,
    percent: tuple[int, ...],
) -> None:
    commit = known.models[int(version) - 1]
    first = made(hours, environment, commit=commit, model_version=version).standings[0]
    assert (first.role, first.weight.percent) == (role, percent)


def test_a_release_that_came_back_says_by_whom_and_why(known: Traced, tmp_path: Path) -> None:
    record = one(known, 21, version="1")
    logged.write(tmp_path, "predictions", [record])
    found = tracing.trace(known.root, tmp_path, record["id"])
    assert found.standings[0].stint.environment == "production"
    assert "by mia at 2026-03-02 04:00 UTC: slow answers" in sections.shown(found)


def test_an_environment_that_is_named_comes_first(made: Made) -> None:
    found = made(13.5, "staging")
    assert [each.stint.environment for each in found.standings] == ["staging"]
    with pytest.raises(Problem, match="no release record of 'moon'; expected one of production"):
        made(13.5, "moon")


def test_an_answer_from_before_its_release_does_not_fit(made: Made) -> None:
    assert made(2).odd == (
        f"{made(2).standings[0].stint.release.id} was in no environment at that time: "
        "served elsewhere",
    )


def test_a_commit_without_a_release_record_is_told_with_its_source(
    known: Traced, made: Made
) -> None:
    head = git(known.root, "rev-parse", "HEAD").strip()
    found = made(41, commit=head, model_version="4")
    assert not found.standings
    assert f"no release record names version 4, commit {head[:12]}" in found.odd[0]
    assert "Try a seed" in sections.shown(found)


@pytest.mark.parametrize("commit", ["f" * 40, "--output=/tmp/x"])
def test_a_commit_that_is_not_here_is_named(made: Made, commit: str) -> None:
    found = made(13.5, commit=commit)
    assert found.source is None
    assert f"commit {commit[:12]}: no such commit here" in found.odd[1]


def test_an_unregistered_models_answer_is_told_so(made: Made) -> None:
    found = made(13.5, commit=None, model_version=None, bento=None)
    assert any("the model was never registered" in each for each in found.odd)
    assert sections.shown(found)


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [("model_hash", "6" * 64, "model hash: 6666"), ("bento", "taxi:other", "Bento: taxi:other")],
)
def test_another_model_than_the_records_does_not_fit(
    made: Made, field: str, value: str, named: str
) -> None:
    assert any(each.startswith(named) for each in made(15, **{field: value}).odd)


def test_evidence_that_is_not_the_records_does_not_fit(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = source.text
    monkeypatch.setattr(
        source, "text", lambda *a: (text(*a) or "") + ("\n" if "evidence" in a[2] else "")
    )
    assert any("evidence.json at" in each and "its record names" in each for each in made(15).odd)


def test_a_model_that_is_not_here_says_how_to_bring_it(made: Made) -> None:
    found = made(15)
    assert found.reasons.source is None
    assert f"bring it: preflight explain {found.record['id']}" in sections.shown(found)


def test_reasons_that_the_service_stored_serve_without_the_model(made: Made) -> None:
    found = made(15, explanation={"trip_distance": 4.0, "weekday": -1.0, "base": 7.0})
    assert (found.reasons.source, found.reasons.base) == ("stored", 7.0)
    assert found.reasons.contributions == {"trip_distance": 4.0, "weekday": -1.0}


def recomputed(record: dict[str, Any], said: str) -> Explanation:
    """What the exact model says of a record, with more features than a person is shown."""
    shares = tuple(Share(f"feature_{at}", 1.0, float(at), True) for at in range(12))
    names = ("model_version", "model_hash", "commit", "bento", "contract", "input")
    ends = ("value", "lower", "upper")
    return Explanation(
        prediction_id=record["id"],
        at=record["at"],
        **{name: record[name] for name in (*names, *ends)},
        unit="minute",
        coverage=0.9,
        base=1.0,
        contributions=shares,
        guards=(),
        fallback=None,
        recomputed=said,
        stored=None,
    )


@pytest.fixture
def packaged(tmp_path: Path) -> tuple[Path, str]:
    """A folder with a packaged model's manifest, and its hash."""
    (tmp_path / "models/packaged").mkdir(parents=True)
    (tmp_path / "models/packaged/manifest.json").write_text("{}")
    return tmp_path, sha256(b"{}").hexdigest()


@pytest.mark.parametrize(("said", "odd"), [(EQUAL, 0), ("differs: value by +1", 1)])
def test_the_exact_models_reasons_come_first_where_it_is_here(
    known: Traced,
    packaged: tuple[Path, str],
    monkeypatch: pytest.MonkeyPatch,
    said: str,
    odd: int,
) -> None:
    record = one(known, 15) | {"model_hash": packaged[1], "explanation": {"weekday": 9.0}}
    monkeypatch.setattr(explain, "one", lambda _, found: recomputed(found, said))
    found = reasons.explained(packaged[0], record)
    assert (found.source, len(found.contributions), len(found.odd)) == ("recomputed", 12, odd)


def test_a_long_explanation_keeps_to_sixty_lines(
    known: Traced, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {f"feature_{at}": float(at) for at in range(40)}
    why = reasons.Reasons("recomputed", "recomputed", names, names, 1.0, ())
    text = sections.shown(replace(made(13.5), reasons=why))
    assert len(text.splitlines()) <= LINES
    assert "32 more: preflight explain" in text


def test_a_model_that_cannot_explain_does_not_end_the_trace(
    known: Traced, packaged: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise Problem("column rider", "a keyed hash", "the value", "Nobody can.")

    monkeypatch.setattr(explain, "one", fails)
    found = reasons.explained(packaged[0], one(known, 15) | {"model_hash": packaged[1]})
    assert (found.source, found.said) == (None, "column rider: a keyed hash. Nobody can.")


@pytest.mark.parametrize(
    ("given", "shown"), [("rider 7", "sensitive: not shown"), ("hash:00ab", "hash:00ab")]
)
def test_what_the_contract_calls_sensitive_is_shown_as_a_hash_or_not_at_all(
    made: Made, monkeypatch: pytest.MonkeyPatch, given: str, shown: str
) -> None:
    name = CONTRACT.known[-1].name
    columns = tuple(replace(each, sensitive=each.name == name) for each in CONTRACT.columns)
    hidden = replace(CONTRACT, columns=columns)
    monkeypatch.setattr(project, "contract", lambda _: hidden)
    why = reasons.Reasons("recomputed", "recomputed", {name: 1.0}, {name: 7531.0}, 1.0, ())
    monkeypatch.setattr(tracing, "explained", lambda *_: why)
    found = made(15, input={name: given, "other": 4})
    assert found.record["input"] == {name: shown, "other": 4}
    told = json.dumps(tracing.plain(found), default=str) + sections.shown(found)
    assert "rider 7" not in told
    assert ("7531" in told) == (shown == given)


def test_an_outcome_is_joined_as_reports_count_it(known: Traced, tmp_path: Path) -> None:
    records = logged.predictions(3, after(15), commit=known.models[1], model_version="2")
    logged.write(tmp_path, "predictions", records)
    logged.write(tmp_path, "outcomes", logged.outcomes(records[:1], value=11.0))
    late = logged.outcomes(records[1:2], logged.MATURITY * 2, value=12.0)
    logged.write(tmp_path, "outcomes", late)
    found = [tracing.trace(known.root, tmp_path, each["id"]).outcome for each in records]
    assert [(each.value, each.fate) for each in found[:2]] == [(11.0, "labelled"), (12.0, "late")]
    assert found[2].value is None
    assert "none has come; one counts within 24 hours" in found[2].fate


def test_an_unknown_id_and_no_id_are_refused(known: Traced, tmp_path: Path) -> None:
    logged.write(tmp_path, "predictions", [one(known, 15)])
    with pytest.raises(NoData, match="no prediction 0000"):
        tracing.trace(known.root, tmp_path, "00000000-0000-7000-8000-000000000000")
    with pytest.raises(Problem, match="expected a UUID"):
        tracing.trace(known.root, tmp_path, "seven")


def test_a_shallow_clone_is_refused_by_name(known: Traced, tmp_path: Path) -> None:
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{known.root}", "shallow")
    with pytest.raises(Problem, match="a shallow clone"):
        tracing.trace(tmp_path / "shallow", tmp_path, "seven")


def test_the_command_ends_with_1_where_a_link_does_not_fit(
    known: Traced, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = one(known, 15), one(known, 16, model_hash="6" * 64)
    logged.write(tmp_path, "predictions", [good, bad])
    assert asked(known, tmp_path, monkeypatch, good["id"]).exit_code == 0
    failed = asked(known, tmp_path, monkeypatch, bad["id"])
    assert failed.exit_code == 1
    assert "what does not fit" in failed.output


def test_json_has_the_same_keys_whatever_is_missing(
    known: Traced, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, bare = one(known, 13.5), one(known, 14, commit=None, model_version=None)
    logged.write(tmp_path, "predictions", [whole, bare])
    said = [
        json.loads(asked(known, tmp_path, monkeypatch, each["id"], "--json").stdout)
        for each in (whole, bare)
    ]
    assert said[0].keys() == said[1].keys()
    assert said[0]["releases"][0]["canary"]["percent"] == [0, 5, 20, 50, 100]
    assert said[0]["releases"][0]["record"]["approval"]["who"] == "bob"
    assert said[0]["source"]["params"]["model"]["learning_rate"] == 0.05
    assert said[0]["source"]["locks"].keys() == {"requirements/serve.txt"}


def test_none_of_the_commands_loads_mlflow_or_pandas(known: Traced, tmp_path: Path) -> None:
    record = one(known, 15)
    logged.write(tmp_path, "predictions", [record])
    code = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from preflight.chain import lineage_commands as all\n"
        "heavy = {'mlflow', 'pandas', 'lightgbm', 'bentoml', 'polars'}\n"
        "assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()\n"
        f"words = [(all.trace, ['{record['id']}', '--log', '{tmp_path}']), (all.audit, ['2']),\n"
        f"    (all.models_using, ['{traced.MARCH}'])]\n"
        "for each, given in words:\n"
        "    done = CliRunner().invoke(each, given)\n"
        "    assert done.exit_code == 0, done.output\n"
        "    assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=known.root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
