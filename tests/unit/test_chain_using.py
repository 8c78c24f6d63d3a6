"""`preflight models-using`: which models some data went into, and where they answer."""

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

import traced
from conftest import git
from preflight import workspace
from preflight.chain import lineage_commands, using
from preflight.chain.using import Using
from preflight.errors import Problem
from traced import Traced


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Traced:
    """The history of `traced`; tests only read it."""
    return traced.history(tmp_path_factory.mktemp("used") / "repository")


def versions(found: Using) -> list[str]:
    """The released versions that were found."""
    return sorted(each.release.model.version for each in found.versions)


@pytest.mark.parametrize(
    "asked",
    [traced.FEBRUARY, traced.FEBRUARY.upper(), traced.FEBRUARY[:7], "data/raw/2021-02.parquet"],
)
def test_versions_are_found_by_a_hash_its_start_or_a_path(known: Traced, asked: str) -> None:
    assert versions(using.using(known.root, asked)) == ["1", "2"]


def test_a_month_that_was_taken_out_is_no_longer_used_though_its_stage_stays(
    known: Traced,
) -> None:
    assert traced.FEBRUARY in git(known.root, "show", f"{known.models[2]}:dvc.lock")
    found = using.using(known.root, traced.FEBRUARY)
    assert known.models[2] not in [each.commit for each in found.commits]
    assert "3" not in versions(found)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("2" * 32, ["1"]),  # an output of all months
        (f"{'2' * 31}e", ["1"]),  # a dependency of training
        ("3" * 32 + ".dir", ["2", "3"]),
        (traced.JANUARY, ["1", "2", "3"]),
        ("9" * 32, []),  # code
        ("8" * 32, []),  # a model
    ],
)
def test_data_are_what_stages_read_and_make_and_no_code(
    known: Traced, asked: str, expected: list[str]
) -> None:
    assert versions(using.using(known.root, asked)) == expected


def test_environments_and_those_that_answer_now_are_named(known: Traced) -> None:
    live = {
        each.release.model.version: each.live
        for each in using.using(known.root, traced.JANUARY).versions
    }
    assert live == {"1": ("production",), "2": ("staging",), "3": ()}


def test_a_rollout_under_way_answers_beside_stable(known: Traced, tmp_path: Path) -> None:
    root = tmp_path / "rolling"
    git(tmp_path, "clone", "--quiet", str(known.root), str(root))
    traced.release(root, 50, traced.of(root, "staging", "3", known.models[2], who="cy"))
    live = {
        each.release.model.version: each.live for each in using.using(root, traced.JANUARY).versions
    }
    assert live == {"1": ("production",), "2": ("staging",), "3": ("staging",)}


def test_a_version_that_was_only_tested_on_the_data_says_so(known: Traced) -> None:
    found = using.plain(using.using(known.root, traced.FEBRUARY))["versions"]
    assert {each["model"]["version"]: each["tested"] for each in found} == {"1": True, "2": False}


def test_parameters_without_a_split_leave_no_month_that_was_only_tested(
    known: Traced, tmp_path: Path
) -> None:
    root = tmp_path / "unsplit"
    git(tmp_path, "clone", "--quiet", str(known.root), str(root))
    may = {"2021-05": "e" * 32}
    keys = yaml.safe_load((root / "params.yaml").read_text())
    del keys["split"]
    (root / "params.yaml").write_text(yaml.safe_dump(keys | {"data": {"months": [*may]}}))
    (root / "dvc.lock").write_text(yaml.safe_dump(traced.lock(may)))
    workspace.commit(root, "Split nothing")
    head = git(root, "rev-parse", "HEAD").strip()
    traced.release(root, 60, traced.of(root, "staging", "5", head))
    (version,) = using.plain(using.using(root, "e" * 32))["versions"]
    assert version["tested"] is False


def test_commits_that_nobody_released_count_on_every_branch(known: Traced, tmp_path: Path) -> None:
    root = tmp_path / "branched"
    git(tmp_path, "clone", "--quiet", str(known.root), str(root))
    git(root, "switch", "--quiet", "--create", "april")
    april = {"2021-04": "d" * 32}
    made = traced.made(root, 60, "Try April", april, data={"months": [*april]})
    git(root, "switch", "--quiet", "main")
    found = using.using(root, "d" * 32)
    assert [each.commit for each in found.commits] == [made]
    assert not found.versions


def test_a_lock_that_a_merge_once_broke_is_passed_over(known: Traced, tmp_path: Path) -> None:
    root = tmp_path / "broken"
    git(tmp_path, "clone", "--quiet", str(known.root), str(root))
    (root / "dvc.lock").write_text(f"<<<<<<< HEAD: [\n{traced.FEBRUARY}\n")
    workspace.commit(root, "Break it")
    assert versions(using.using(root, traced.FEBRUARY)) == ["1", "2"]


@pytest.mark.parametrize("asked", ["e" * 32, "data/raw/1999-01.parquet"])
def test_data_that_nobody_names_is_told_and_no_failure(
    known: Traced, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    monkeypatch.setattr(workspace, "root", lambda: known.root)
    done = CliRunner().invoke(lineage_commands.models_using, [asked])
    assert (done.exit_code, done.output) == (0, f"no commit of this history names {asked}\n")


@pytest.mark.parametrize("asked", ["abc", "g" * 32, "models/fitted", "--all"])
def test_what_is_no_hash_and_no_path_of_data_is_refused(known: Traced, asked: str) -> None:
    with pytest.raises(Problem, match=r"expected an MD5 as in dvc.lock, 7 of its digits or more"):
        using.using(known.root, asked)


def test_a_person_reads_data_versions_and_commits(
    known: Traced, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspace, "root", lambda: known.root)
    said = CliRunner().invoke(lineage_commands.models_using, [traced.FEBRUARY]).output
    first, second = known.models[0][:12], known.models[1][:12]
    for line in (
        f"  {traced.FEBRUARY}  data/raw/2021-02.parquet",
        f"taxi-duration 1, id 1-{first}, only tested on it: answers now in production; was in",
        f"taxi-duration 2, id 2-{second}: answers now in staging; was in production, staging",
        f"  {second}  2026-03-01  Take `March` in",
    ):
        assert line in said


def test_json_has_records_and_times(known: Traced, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace, "root", lambda: known.root)
    done = CliRunner().invoke(lineage_commands.models_using, [traced.MARCH, "--json"])
    found = json.loads(done.stdout)
    assert found["data"] == [{"path": "data/raw/2021-03.parquet", "md5": traced.MARCH}]
    two = next(each for each in found["versions"] if each["model"]["version"] == "2")
    assert two["environments"][0]["until"] == "2026-03-02T04:00:00+00:00"


def test_a_shallow_clone_is_refused_by_name(known: Traced, tmp_path: Path) -> None:
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{known.root}", "shallow")
    with pytest.raises(Problem, match="a shallow clone"):
        using.using(tmp_path / "shallow", traced.MARCH)
