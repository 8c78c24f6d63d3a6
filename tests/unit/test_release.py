"""The release record says who released what, and Git keeps every one."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import commit, git
from preflight import release
from preflight.errors import Problem
from preflight.release import Release
from records import PLACE, record


def without(name: str) -> dict[str, Any]:
    """A record that lacks one field."""
    return {key: value for key, value in record().items() if key != name}


def repository(root: Path, records: Sequence[dict[str, Any] | str | None]) -> Path:
    """A repository with one commit a record; None deletes it."""
    root.mkdir(exist_ok=True)
    git(root, "init", "--quiet", "--initial-branch=main")
    for number, each in enumerate(records):
        (root / "count").write_text(str(number))
        path = root / PLACE
        path.parent.mkdir(parents=True, exist_ok=True)
        if each is None:
            path.unlink()
        else:
            path.write_text(each if isinstance(each, str) else yaml.safe_dump(each))
        commit(root, f"Record {number}")
    return root


def test_a_record_is_read_as_it_was_written() -> None:
    one = release.parse(yaml.safe_dump(record()), PLACE)
    text = yaml.safe_dump(one.model_dump(mode="json"))
    assert release.parse(text, PLACE) == one
    assert one.rollout.verdict == "promoted"


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"environment": "Production"}, "environment"),
        ({"commit": "main"}, "commit"),
        ({"manifests": "b" * 39}, "manifests"),
        ({"data": "2" * 40}, "data"),
        ({"evidence": "no"}, "evidence"),
        ({"image": "latest"}, "image"),
        ({"bento": ""}, "bento"),
        ({"who": ""}, "who"),
        ({"when": "yesterday"}, "when"),
        ({"previous": "x"}, "previous"),
        ({"approval": {"who": ""}}, "approval.who"),
        ({"model": {"name": "a", "version": "1"}}, "model.hash"),
        ({"model": {"name": "a", "version": 1, "hash": "1" * 64}}, "model.version"),
        ({"rollout": {"verdict": "fine", "at": None}}, "rollout.verdict"),
        ({"rollout": {"verdict": "pending", "at": "soon"}}, "rollout.at"),
        ({"signed": True}, "signed"),
    ],
)
def test_a_broken_field_is_named_with_its_file(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(Problem) as caught:
        release.parse(yaml.safe_dump(record(**fields)), PLACE)
    assert caught.value.where == PLACE
    assert caught.value.found.startswith(f"{named}: ")


@pytest.mark.parametrize("name", sorted(Release.model_fields))
def test_no_field_may_be_missing(name: str) -> None:
    with pytest.raises(Problem, match=f"{name}: Field required"):
        release.parse(yaml.safe_dump(without(name)), PLACE)


@pytest.mark.parametrize("text", ["", "- a\n", "a: [", "text"])
def test_what_is_no_record_is_told(text: str) -> None:
    with pytest.raises(Problem, match="a whole release record"):
        release.parse(text, PLACE)


def test_records_come_newest_first_and_a_deletion_is_passed_over(tmp_path: Path) -> None:
    root = repository(
        tmp_path, [record(who="ada"), record(who="bob"), None, record("pending", who="cy")]
    )
    assert [each.who for each in release.history(root, "production", "HEAD")] == [
        "cy",
        "bob",
        "ada",
    ]


def test_records_are_those_of_a_commit_and_its_ancestors(tmp_path: Path) -> None:
    root = repository(tmp_path, [record(who="ada"), record(who="bob")])
    assert [each.who for each in release.history(root, "production", "HEAD~1")] == ["ada"]
    assert list(release.history(root, "staging", "HEAD")) == []


def test_what_lies_in_the_tree_uncommitted_has_no_say(tmp_path: Path) -> None:
    root = repository(tmp_path, [record(who="ada")])
    (root / PLACE).write_text(yaml.safe_dump(record(who="eve")))
    assert [each.who for each in release.history(root, "production", "HEAD")] == ["ada"]


def test_while_the_newest_record_is_broken_none_is_the_promoted_one(tmp_path: Path) -> None:
    root = repository(tmp_path, [record(), record(commit="main")])
    broken = git(root, "rev-parse", "HEAD").strip()[:12]
    with pytest.raises(Problem, match=f"{PLACE} at {broken}: found commit: "):
        release.promoted(root, "production", "HEAD")


@pytest.mark.parametrize("broken", [record(commit="main"), record(environment="staging"), "a: ["])
def test_a_broken_record_that_was_mended_is_passed_over_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, broken: dict[str, Any] | str
) -> None:
    root = repository(tmp_path, [record(who="ada"), broken, record("pending")])
    found = release.promoted(root, "production", "HEAD")
    assert found is not None
    assert found.who == "ada"
    assert len(list(release.history(root, "production", "HEAD"))) == 2
    held = git(root, "rev-parse", "HEAD~1").strip()[:12]
    assert caplog.text.count(f"warning: passed over {PLACE} at {held}") == 2


def test_the_newest_promoted_record_counts(tmp_path: Path) -> None:
    records = [record(who="ada"), record(who="bob"), record("aborted"), record("pending")]
    found = release.promoted(repository(tmp_path, records), "production", "HEAD")
    assert found is not None
    assert found.who == "bob"


def test_without_a_promoted_record_there_is_none(tmp_path: Path) -> None:
    root = repository(tmp_path, [record("aborted"), record("pending")])
    assert release.promoted(root, "production", "HEAD") is None
