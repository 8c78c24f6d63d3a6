"""Main judges the policy of a pull request anew, from Git's objects alone."""

from pathlib import Path

import pytest

from changes import committed
from conftest import commit, git
from fake_github import REPOSITORY, TOKEN, green
from preflight.evidence import Part, Status
from preflight.gates import policy as gate
from preflight.pull_request.github import GitHub
from preflight.pull_request.policy import Judged, judge

BEFORE = {"params.yaml": "gates: {}\n", "README.md": "It.\n"}


def judged(root: Path, head: str, word: Part | None = None) -> Judged:
    """Main's verdict on a commit that is there already."""
    git(root, "branch", "--force", "main", f"{head}^")
    return judge(root, GitHub(REPOSITORY, TOKEN), head, word)


def detached(root: Path, after: dict[str, str]) -> str:
    """The hash of a change from BEFORE, checked out."""
    _, head = committed(root, BEFORE, after)
    git(root, "checkout", "--quiet", "--detach", head)
    return head


def test_prose_alone_is_prose(tmp_path: Path) -> None:
    head = detached(tmp_path, BEFORE | {"README.md": "It is.\n"})
    assert judged(tmp_path, head).docs_only


def test_code_is_no_prose(tmp_path: Path) -> None:
    head = detached(tmp_path, BEFORE | {"README.md": "It is.\n", "src/taxi/model.py": ""})
    assert not judged(tmp_path, head).docs_only


def test_a_link_under_the_name_of_prose_is_no_prose(tmp_path: Path) -> None:
    detached(tmp_path, BEFORE)
    (tmp_path / "NOTES.md").symlink_to("params.yaml")
    commit(tmp_path)
    assert not judged(tmp_path, git(tmp_path, "rev-parse", "HEAD").strip()).docs_only


@pytest.mark.parametrize(
    ("said", "expected"), [("pass", "pass"), ("fail", "fail"), ("no-data", "no-data")]
)
def test_the_contract_is_the_changes_own_word(
    tmp_path: Path, said: Status, expected: Status
) -> None:
    head = detached(tmp_path, BEFORE | {"src/taxi/model.py": ""})
    word = green(head, "policy")
    lines = (word.evidence[0].model_copy(update={"status": said}),)
    part = judged(tmp_path, head, word.model_copy(update={"evidence": lines})).part
    (contract,) = (line for line in part.evidence if line.check == "contract")
    assert contract.status == expected
    assert contract.found.startswith("the change's own word: ")


def test_without_its_word_the_contract_is_without_data(tmp_path: Path) -> None:
    head = detached(tmp_path, BEFORE | {"src/taxi/model.py": ""})
    (contract,) = (
        line for line in judged(tmp_path, head).part.evidence if line.check == "contract"
    )
    assert contract.status == "no-data"


def test_the_rest_of_the_changes_word_does_not_count(tmp_path: Path) -> None:
    head = detached(tmp_path, BEFORE | {"params.yaml": "gates: {\n"})
    assert judged(tmp_path, head, green(head, "policy")).part.status == "fail"


def test_a_source_that_breaks_a_parser_leaves_no_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RecursionError("::add-mask::")

    monkeypatch.setattr(gate, "judge", broken)
    found = judged(tmp_path, detached(tmp_path, BEFORE | {"README.md": ""}))
    assert found.part.evidence[0].found == "main could not judge it: RecursionError"
    assert (found.part.status, found.docs_only) == ("no-data", False)
