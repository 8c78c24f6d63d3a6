"""`preflight audit`: one page of a version, by Git alone."""

from pathlib import Path

import pytest
from click.testing import CliRunner

import traced
from conftest import git
from preflight import workspace
from preflight.chain import audit, difference, history, lineage_commands, source
from preflight.errors import NoData, Problem
from traced import HASH, Traced, clock


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Traced:
    """The history of `traced`; tests only read it."""
    return traced.history(tmp_path_factory.mktemp("audited") / "repository")


@pytest.fixture(scope="module")
def page(known: Traced) -> str:
    """The second version's page."""
    return audit.audit(known.root, "2")


def section(page: str, title: str) -> str:
    """A page's part under a heading."""
    return page.partition(f"## {title}")[2].partition("\n## ")[0]


def test_a_page_says_what_the_version_is_and_where_it_answers(known: Traced, page: str) -> None:
    assert page.startswith("# taxi-duration 2\n")
    for what in (HASH, known.models[1], f"taxi:v2-{known.models[1][:12]}", f"sha256:{'2' * 64}"):
        assert f"`{what}`" in page
    assert "| answers now in | staging |" in page
    assert "`https://builds.example/runs/5`" in page


def test_every_environment_stands_with_who_when_approval_and_verdict(page: str) -> None:
    staging, production = section(page, "Where it was").strip().splitlines()[-2:]
    assert staging.startswith("| staging | 2026-03-01 19:00 to now | ada, 2026-03-01 19:00 | no ")
    assert production.startswith("| production | 2026-03-01 21:00 to 2026-03-02 04:00 |")
    for said in ("bob, 2026-03-01 20:30", "review 77", "promoted: no worse by each metric"):
        assert said in production


def test_a_rollback_stands_with_who_and_why(known: Traced) -> None:
    rows = section(audit.audit(known.root, "1"), "Where it was")
    assert "none: brought back by a rollback of mia: slow answers" in rows
    assert rows.count("| production |") == 2


def test_evidence_stands_once_gate_by_gate(page: str) -> None:
    found = section(page, "Evidence")
    assert found.count("SHA-256") == 1
    assert "Green are 3 of 3 gates." in found
    assert [line for line in found.splitlines() if line.startswith("### ")] == [
        "### load: pass",
        "### quality: pass",
        "### slices: pass",
    ]
    assert "The quality is good &#124; enough. | pass |" in found


def test_evidence_that_was_changed_afterwards_is_told(known: Traced, tmp_path: Path) -> None:
    root = tmp_path / "changed"
    git(tmp_path, "clone", "--quiet", str(known.root), str(root))
    newest = next(one for one in history.stints(root) if one.release.model.version == "3")
    changed = newest.release.model_copy(update={"evidence": "0" * 64})
    traced.release(root, 50, changed)
    assert "**It does not fit: deploy/overlays/staging/evidence.json at" in audit.audit(root, "3")


def test_data_parameters_and_locks_are_those_of_its_commit(known: Traced, page: str) -> None:
    made = section(page, "What it was made of")
    assert "Months of data: 2021-01, 2021-02, 2021-03." in made
    assert f"| `data/raw/2021-02.parquet` | `{traced.FEBRUARY}` |" in made
    assert source.of(known.root, known.models[1]).locks["requirements/serve.txt"] in made
    assert "learning_rate: 0.05" in made
    assert "max_false_abort" not in made
    assert "No model card: docs/model-card.md is not in that commit." in made


def test_a_months_leaving_does_not_stay_with_its_stage(known: Traced) -> None:
    assert traced.FEBRUARY not in section(audit.audit(known.root, "3"), "What it was made of")


def test_what_changed_is_told_against_the_release_before(known: Traced, page: str) -> None:
    found = section(page, "What changed since version 1")
    for row in (
        f"| `data/raw/2021-03.parquet` | - | `{traced.MARCH}` |",
        "| `model.learning_rate` | 0.08 | 0.05 |",
        "| `rmse` | 5.8 | 5.7 |",
        "| `numpy` | `1.26.0` | `1.26.4` |",
        "Between them: 1 commit, without those of releases.",
        f"- `{known.models[1][:12]}` 2026-03-01 Take &#96;March&#96; in",
    ):
        assert row in found
    assert known.models[0] in found


def test_a_month_taken_out_is_a_change_of_data(known: Traced) -> None:
    found = section(audit.audit(known.root, "3"), "What changed since version 2")
    assert f"| `data/raw/2021-02.parquet` | `{traced.FEBRUARY}` | - |" in found
    assert "No package differs." in found


def test_the_first_release_has_nothing_before_it(known: Traced) -> None:
    assert "It is the first release in production." in audit.audit(known.root, "1")


def test_a_version_before_that_is_not_here_is_told(known: Traced, tmp_path: Path) -> None:
    root = tmp_path / "changed"
    git(tmp_path, "clone", "--quiet", str(known.root), str(root))
    lost = traced.of(root, "staging", "5", known.models[2], previous="f" * 40)
    traced.release(root, 50, lost)
    assert "It cannot be compared: commit ffffffffffff" in audit.audit(root, "5")


def test_a_page_tells_how_to_run_the_version_again(known: Traced, page: str) -> None:
    found = section(page, "How to run it again")
    assert f"docker pull registry.example/taxi@sha256:{'2' * 64}" in found
    assert f"git checkout {known.models[1]}\nmake setup\nmake restore" in found


def test_a_record_of_another_environment_is_passed_over_with_a_warning(
    known: Traced, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "copied"
    git(tmp_path, "clone", "--quiet", str(known.root), str(root))
    overlays = root / "deploy/overlays"
    text = (overlays / "staging/release.yaml").read_text()
    (overlays / "production/release.yaml").write_text(text)
    workspace.commit(root, "Copy it by hand")
    rows = section(audit.audit(root, "3"), "Where it was")
    assert "| production |" not in rows
    assert "environment: found staging" in caplog.text


def test_times_are_told_in_utc(known: Traced, tmp_path: Path) -> None:
    root = tmp_path / "zones"
    git(tmp_path, "clone", "--quiet", str(known.root), str(root))
    late = traced.of(root, "staging", "5", known.models[2], when="2026-04-01T01:30:00+05:00")
    traced.release(root, 50, late)
    assert "ada, 2026-03-31 20:30" in audit.audit(root, "5")


def test_a_users_own_settings_of_git_log_change_nothing(
    known: Traced, page: str, tmp_path: Path
) -> None:
    root = tmp_path / "set"
    git(tmp_path, "clone", "--quiet", str(known.root), str(root))
    git(root, "config", "log.showSignature", "true")
    git(root, "config", "log.follow", "true")
    assert audit.audit(root, "2") == page


def test_a_version_without_a_record_names_those_that_have_one(known: Traced) -> None:
    with pytest.raises(NoData, match=r"found no release record of it; .* Known are 1-"):
        audit.audit(known.root, "7")


def test_one_number_of_two_models_wants_an_id(known: Traced, tmp_path: Path) -> None:
    root = tmp_path / "twice"
    git(tmp_path, "clone", "--quiet", str(known.root), str(root))
    traced.release(root, 50, traced.of(root, "staging", "2", known.models[2]))
    with pytest.raises(Problem, match="expected one model"):
        audit.audit(root, "2")
    assert audit.audit(root, f"2-{known.models[2][:12]}").startswith("# taxi-duration 2")


def test_words_of_a_commit_cannot_write_the_page(known: Traced, tmp_path: Path) -> None:
    root = tmp_path / "sly"
    git(tmp_path, "clone", "--quiet", str(known.root), str(root))
    params = root / "params.yaml"
    params.write_text(f"{params.read_text()}\nmodel.note: '```'\n")
    with clock(50):
        workspace.commit(root, "<b>bold</b> @team | # all green")
    made = git(root, "rev-parse", "HEAD").strip()
    sly = traced.of(root, "staging", "9", made, who="</details> @team")
    traced.release(root, 51, sly)
    page = audit.audit(root, "9")
    assert "<b>" not in page
    assert "</details>" not in page
    assert "@team" not in page


def test_metrics_that_are_no_json_are_none(known: Traced, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "text", lambda *_: "<<<<<<< HEAD")
    assert difference.metrics(known.root, known.models[0]) == {}


def test_the_command_prints_the_page(known: Traced, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace, "root", lambda: known.root)
    done = CliRunner().invoke(lineage_commands.audit, ["2"])
    assert done.exit_code == 0
    assert done.output == audit.audit(known.root, "2")


def test_a_shallow_clone_is_refused_by_name(known: Traced, tmp_path: Path) -> None:
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{known.root}", "shallow")
    with pytest.raises(Problem, match="a shallow clone"):
        audit.audit(tmp_path / "shallow", "2")
