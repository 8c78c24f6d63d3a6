"""A release is made of a commit whose evidence is whole and green, and says where it comes from."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from conftest import ROOT, commit, git
from delivered import green_parts
from fake_github import REPOSITORY, TOKEN, FakeGitHub, green, serving
from preflight import evidence, lineage, registry, restore
from preflight import release as records
from preflight.delivery import draft, packaging
from preflight.errors import NoData, Problem
from preflight.evidence import Part, told
from preflight.layout import EVIDENCE
from released import started

ORIGIN = lineage.Origin("a" * 40, {"data/raw": "b" * 32}, "1" * 64, "c", "d", "e")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with the evidence of its HEAD, every gate green."""
    place = started(tmp_path / "repository")
    (place / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    (place / ".gitignore").write_text("/reports/\n/.preflight/\n")
    commit(place, "Predict longer trips (#12)")
    for part in green_parts(head(place)):
        evidence.write(place / EVIDENCE, part)
    return place


@pytest.fixture
def made(root: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Registry, Bento and image are made by others; returns the labels that they were given."""
    labels: list[Any] = []
    folder = root / f".preflight/bentoml/bentos/taxi/v3-{head(root)[:12]}"

    def build(_: Path, bento: Path, given: Any) -> SimpleNamespace:
        labels.append(given)
        said = f"the Bento {bento.name} alone"
        return SimpleNamespace(digest=f"sha256:{'4' * 64}", builder=None, said=said)

    origin = lineage.Origin(head(root), *list(vars(ORIGIN).values())[1:])
    monkeypatch.setattr(registry, "register", lambda _: "3")
    monkeypatch.setattr("preflight.bento.build", lambda _: folder)
    monkeypatch.setattr(lineage, "origin", lambda _: origin)
    monkeypatch.setattr("preflight.images.build.build", build)
    return labels


def head(root: Path) -> str:
    """The commit of a checkout."""
    return git(root, "rev-parse", "HEAD").strip()


def test_the_draft_says_what_the_record_will(root: Path, made: list[Any]) -> None:
    found = packaging.package(root, {})
    assert draft.read(root) == found
    proof = draft.packed(root, found)
    assert evidence.digest(evidence.unpacked(proof.decode(), "")) == found.evidence
    assert (found.who, found.pull_request, found.run) == ("preflight", 12, None)
    assert found.model == records.ReleasedModel(name="taxi-duration", version="3", hash="1" * 64)
    assert found.data == lineage.data_digest(ORIGIN.data)
    assert (found.commit, found.bento) == (head(root), f"taxi:v3-{head(root)[:12]}")
    (labels,) = made
    assert (labels.evidence, labels.data, labels.bento) == (
        found.evidence,
        found.data,
        found.bento,
    )


def test_in_actions_it_names_its_log(root: Path, made: list[Any]) -> None:
    lasting(root, "uri: postgresql://db/mlflow", "images: docker://host/taxi")
    for part in green_parts(head(root)):
        evidence.write(root / EVIDENCE, part)
    found = packaging.package(root, actions())
    assert found.run == "https://github.com/team/model/actions/runs/700"
    assert made[0].source == "https://github.com/team/model"


def actions() -> dict[str, str]:
    """Variables of a workflow without a token."""
    return {
        "GITHUB_ACTIONS": "true",
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_REPOSITORY": "team/model",
        "GITHUB_RUN_ID": "700",
    }


def lasting(root: Path, uri: str, images: str) -> None:
    """Name another registry and store in params.yaml."""
    path = root / "params.yaml"
    text = path.read_text().replace("uri: sqlite:///.preflight/mlflow/mlflow.db", uri)
    path.write_text(text.replace("images: .preflight/images", images))
    commit(root, "Name the servers (#12)")


@pytest.mark.parametrize(
    ("uri", "images", "key"),
    [
        ("uri: sqlite:///mlflow.db", "images: docker://host/taxi", "uri"),
        ("uri: postgresql://db/mlflow", "images: images", "images"),
    ],
)
def test_what_would_be_gone_with_the_runner_is_refused(
    root: Path, uri: str, images: str, key: str
) -> None:
    lasting(root, uri, images)
    with pytest.raises(Problem, match=rf"registry\.{key}: found .*below the checkout"):
        packaging.require_lasting(root, actions())
    packaging.require_lasting(root, {})


def test_an_uncommitted_tree_is_refused(root: Path, made: list[Any]) -> None:
    (root / "dvc.lock").write_text("mine\n")
    with pytest.raises(Problem, match="uncommitted changes"):
        packaging.package(root, {})
    assert made == []


def red(commit: str) -> Part:
    """A load test that failed."""
    line = told("load", "latency", "It is fast.", False, "340 ms")
    return Part(gate="load", commit=commit, seconds=1.0, evidence=(line,))


def test_a_red_gate_is_refused_by_name(root: Path, made: list[Any]) -> None:
    evidence.write(root / EVIDENCE, red(head(root)))
    with pytest.raises(Problem, match=r"found fail: load \(latency: 340 ms\)") as caught:
        packaging.package(root, {})
    assert not isinstance(caught.value, NoData)
    assert made == []
    assert not (root / draft.PLACE).exists()


@pytest.mark.parametrize("damage", ["gone", "unreadable"])
def test_a_gate_without_evidence_is_no_data(root: Path, damage: str) -> None:
    path = root / EVIDENCE / "benchmark.json"
    path.unlink()
    if damage == "unreadable":
        path.write_text("{}")
    with pytest.raises(Problem, match="benchmark") as caught:
        packaging.green(root, head(root))
    assert isinstance(caught.value, NoData) == (damage == "gone")


def test_evidence_of_another_commit_is_refused_with_both(root: Path) -> None:
    evidence.write(root / EVIDENCE, green("9" * 40, "quality"))
    said = rf"quality: found evidence of another commit, 9{{12}}; expected .*{head(root)[:12]}"
    with pytest.raises(Problem, match=said):
        packaging.green(root, head(root))


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGitHub]:
    """A fake GitHub."""
    monkeypatch.setenv("no_proxy", "*")
    with serving("a" * 40) as served:
        yield served


def test_with_a_token_github_says_which_pull_request_it_was(root: Path, fake: FakeGitHub) -> None:
    variables = {
        "GITHUB_TOKEN": TOKEN,
        "GITHUB_REPOSITORY": REPOSITORY,
        "GITHUB_API_URL": fake.api,
    }
    assert packaging.pull_request(root, head(root), variables) is None
    fake.commit_pulls[head(root)] = [
        {"number": 5, "merged_at": None},
        {"number": 6, "merged_at": "2026-11-22T08:00:00Z"},
    ]
    assert packaging.pull_request(root, head(root), variables) == 6


@pytest.mark.parametrize("subject", ["Mend (#12) more", "Mend #12", "Mend (#0)"])
def test_a_subject_that_is_no_squash_names_none(root: Path, subject: str) -> None:
    (root / "dvc.lock").write_text("mine\n")
    commit(root, subject)
    assert packaging.pull_request(root, head(root), {}) is None


def test_artifacts_count_as_pulled_for_the_lock_they_were_pulled_for(root: Path) -> None:
    assert restore.artifacts(root) == "rebuilt"
    restore._remember(root, "pulled")
    assert restore.artifacts(root) == "pulled"
    (root / "dvc.lock").write_text("another\n")
    assert restore.artifacts(root) == "rebuilt"
    restore._remember(root, "rebuilt")
    assert restore.artifacts(root) == "rebuilt"
