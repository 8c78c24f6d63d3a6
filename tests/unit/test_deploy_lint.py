"""The lint runs every rule over deploy/, tells each finding, and never passes unseen."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from conftest import ROOT, commit, git
from declared import tree
from preflight import workspace
from preflight.deploy import checkout, lint, rendering, rules
from preflight.deploy.commands import lint_deploy
from preflight.deploy.lint import Result, Rule
from preflight.deploy.tree import Finding, Tree, load
from preflight.errors import NoData, Problem
from preflight.release import Release
from records import record

FINDING = Finding("file", "Rollout/taxi", "spec", "a", "b", "Mend it.")


@pytest.fixture(scope="module")
def shipped() -> tuple[Tree, tuple[Result, ...]]:
    """What the rules say of this checkout."""
    found = load(ROOT)
    return found, lint.lint(found)


def test_what_ships_breaks_no_rule(shipped: tuple[Tree, tuple[Result, ...]]) -> None:
    found, results = shipped
    assert [str(each) for result in results for each in result.findings] == []
    assert lint.status(results) == "pass", list(lint.lines(results, found))


def test_each_rule_has_a_name_and_a_sentence_for_people() -> None:
    assert len({rule.name for rule in lint.RULES}) == len(lint.RULES)
    assert all(rule.claim.endswith(".") and len(rule.claim) < 120 for rule in lint.RULES)


def test_each_rule_is_evidence(shipped: tuple[Tree, tuple[Result, ...]]) -> None:
    found = lint.judged(shipped[1])
    told = {each.check for each in found.evidence} | {
        row[0] for t in found.tables for row in t.rows
    }
    assert told == {rule.name for rule in lint.RULES}


def result(check: lint.OfTree) -> Result:
    return lint.looked(Rule("a-rule", "It holds.", check), tree())


def finds(_: Tree) -> Iterator[Finding]:
    yield FINDING


def test_a_finding_is_a_line_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    found = result(finds)
    told = list(lint.lines((found,), tree()))
    assert told[0] == "a-rule: file: Rollout/taxi: spec: found a; expected b. Mend it."
    assert told[-1].startswith("1 finding: 1 of 1 rules, ")
    (line,) = lint.judged((found,)).evidence
    assert (lint.status((found,)), line.status, line.gate) == ("fail", "fail", "deploy")
    assert "found a; expected b" in line.found
    assert not capsys.readouterr().out


def test_a_rule_that_cannot_look_has_not_passed_and_keeps_what_it_found() -> None:
    def half(_: Tree) -> Iterator[Finding]:
        yield FINDING
        raise Problem("file", "nothing", "something", "Add it.")

    def blind(_: Tree) -> Iterator[Finding]:
        raise Problem("file", "nothing", "something", "Add it.")

    def odd(given: Tree) -> Iterator[Finding]:
        return iter(given.environments[0].manifests.objects[0]["nowhere"])

    assert (result(half).status, result(half).findings) == ("fail", (FINDING,))
    assert [result(each).status for each in (blind, odd)] == ["no-data", "no-data"]
    told = "\n".join(lint.lines((result(blind),), tree()))
    assert "a-rule: not run: file: found nothing" in told


def test_a_tool_that_is_not_there_is_told_and_asked_for_in_ci(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def toolless(_: Tree) -> Iterator[Finding]:
        raise NoData("kustomize", "no such program", "it", "Run `make tools`.")

    found = result(toolless), result(lambda _: iter(()))
    monkeypatch.delenv("PREFLIGHT_REQUIRE_TOOLS", raising=False)
    assert lint.status(found) == "pass"
    assert lint.judged(found).tables[0].rows[0][0] == "a-rule"
    assert "not run: kustomize" in "\n".join(lint.lines(found, tree()))
    monkeypatch.setenv("PREFLIGHT_REQUIRE_TOOLS", "1")
    assert lint.status(found) == "no-data"
    assert lint.judged(found).evidence[0].status == "no-data"


def test_without_an_overlay_there_is_no_data(tmp_path: Path) -> None:
    with pytest.raises(NoData, match="no environment"):
        load(tmp_path)


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with this one's deploy/ and parameters, committed."""
    root = tmp_path_factory.mktemp("copied")
    for name in ("params.yaml", *map(str, (ROOT / "deploy").rglob("*.yaml"))):
        place = root / (ROOT / name).relative_to(ROOT)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes((ROOT / name).read_bytes())
    git(root, "init", "--quiet")
    commit(root)
    return root


def test_a_hand_in_a_rendered_file_is_found_without_kustomize(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rendering, "_tool", _missing)
    file = copied / "deploy/rendered/staging.yaml"
    before = file.read_text(encoding="utf-8")
    with pytest.raises(NoData):
        list(rules.releases.by_hand(load(copied)))
    file.write_text(before.replace("preflight/release: none", "preflight/release: 3-abc", 1))
    found = lint.looked(Rule("a", "", rules.releases.by_hand), load(copied))
    file.write_text(before)
    assert "found preflight/release: 3-abc; expected preflight/release: none" in str(
        found.findings[0]
    )
    assert (found.status, found.tool) == ("fail", True)


def _missing(_: Path) -> str:
    raise NoData("kustomize", "no such program", "it, to render manifests", "Run `make tools`.")


def test_another_rendering_than_the_files_is_found(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        rendering,
        "difference",
        lambda _, name: (
            "--- a\n+++ b\n@@ -7,3 +7,3 @@\n spec:\n-  key: hush\n+  key: a\n"
            if name == "staging"
            else ""
        ),
    )
    (found,) = rules.releases.by_hand(load(copied))
    assert "staging.yaml: line 8: found another 'key'; expected what deploy/ gives" in str(found)
    assert "hush" not in str(found)


PLACE = "deploy/overlays/{}/release.yaml"


def told(root: Path, environment: str, verdict: str, **fields: object) -> None:
    """A record in the working tree."""
    text = yaml.safe_dump(record(verdict, environment=environment, **fields))
    (root / PLACE.format(environment)).write_text(text)


@pytest.fixture
def own(copied: Path, tmp_path: Path) -> Path:
    """A clone that a test may commit to."""
    workspace.run(copied, "git", "clone", "-q", str(copied), str(tmp_path / "own"))
    return tmp_path / "own"


def test_production_runs_what_was_promoted_in_staging_alone(own: Path) -> None:
    told(own, "production", "pending")
    (found,) = rules.releases.ahead(load(own))
    assert found.file == "deploy/overlays/production/release.yaml"
    assert "found 3-aaaaaaaaaaaa by manifests bbbbbbbbbbbb, never promoted in staging" in str(found)
    for verdict, findings in (("pending", 1), ("promoted", 0)):
        (own / PLACE.format("production")).unlink()
        told(own, "staging", verdict)
        commit(own)
        told(own, "production", "pending")
        assert len(list(rules.releases.ahead(load(own)))) == findings
    told(own, "staging", "pending", commit="c" * 40)
    commit(own)
    assert list(rules.releases.ahead(load(own))) == []
    told(own, "production", "promoted")
    commit(own)
    assert list(rules.releases.ahead(load(own))) == []


def test_each_release_of_production_was_promoted_in_staging_before_its_own_record(
    own: Path,
) -> None:
    for digit in "cd":
        for environment in ("staging", "production"):
            told(own, environment, "promoted", commit=40 * digit)
            commit(own, f"{environment} {digit}")
            assert list(rules.releases.ahead(load(own))) == []


@pytest.mark.parametrize("committed", [False, True])
def test_a_change_may_not_promote_in_staging_what_it_brings_to_production(
    own: Path, committed: bool
) -> None:
    told(own, "staging", "promoted")
    told(own, "production", "pending")
    if committed:
        commit(own)
    assert len(list(rules.releases.ahead(load(own)))) == 1


def test_every_environment_beside_staging_runs_what_was_promoted_there(own: Path) -> None:
    known = {each.name: each for each in load(own).environments}
    other = replace(known["production"], name="canada", record=released("production", "5"))
    (found,) = rules.releases.ahead(Tree(own, (known["staging"], other), ()))
    assert found.file == "deploy/overlays/canada/release.yaml"


def test_another_image_of_the_same_model_was_not_tried(own: Path) -> None:
    told(own, "staging", "promoted", image=f"sha256:{64 * '4'}")
    commit(own)
    told(own, "production", "pending", image=f"sha256:{64 * '5'}")
    (found,) = rules.releases.ahead(load(own))
    assert "never promoted in staging" in str(found)


@pytest.mark.parametrize(("before", "findings"), [("aborted", 1), ("promoted", 0), ("pending", 0)])
def test_what_was_aborted_does_not_come_back_unjudged(
    own: Path, before: str, findings: int
) -> None:
    told(own, "staging", before, when="2026-02-01T00:00:00+00:00")
    commit(own)
    told(own, "staging", "pending", when="2026-02-02T00:00:00+00:00")
    found = list(map(str, rules.releases.again(load(own))))
    assert len(found) == findings
    assert all("3-aaaaaaaaaaaa, which was aborted; with rollbackWindow it" in one for one in found)


def test_a_release_that_ended_aborted_has_not_come_back(own: Path) -> None:
    for verdict in ("pending", "aborted"):
        told(own, "staging", verdict)
        commit(own)
    assert list(rules.releases.again(load(own))) == []


def test_what_is_promoted_again_after_an_abort_may_come_back(own: Path) -> None:
    for day, verdict in ((1, "promoted"), (2, "aborted"), (3, "pending")):
        told(own, "staging", verdict, when=f"2026-02-0{day}T00:00:00+00:00")
        commit(own)
    assert list(rules.releases.again(load(own))) == []


def tiered(root: Path, tier: str) -> None:
    """The risk tier, committed."""
    place = root / "params.yaml"
    text = place.read_text(encoding="utf-8")
    place.write_text(re.sub(r"(?m)^  tier: \w+", f"  tier: {tier}", text), encoding="utf-8")
    git(root, "add", "params.yaml")
    git(root, "commit", "--quiet", "--allow-empty", "--message=Set the tier")


def on_main(root: Path) -> None:
    """HEAD is the remote's main, as last fetched."""
    at = checkout.of(root)
    git(root, "update-ref", f"refs/remotes/{at.remote}/{at.main}", "HEAD")


def approval(who: str = "bea") -> dict[str, str]:
    """A review's part of a record."""
    at, review = "2026-01-02T04:00:00+00:00", "https://github.com/team/model/pull/43#r1"
    return {"who": who, "commit": "c" * 40, "review": review, "at": at}


@pytest.mark.parametrize(
    ("tier", "known", "said", "verdict"),
    [
        ("high", None, "3-aaaaaaaaaaaa with nobody as its approver", "pending"),
        ("high", None, "3-aaaaaaaaaaaa with nobody as its approver", "promoted"),
        ("high", approval("ada"), "3-aaaaaaaaaaaa with its author as its approver", "pending"),
        ("high", approval(), None, "pending"),
        ("low", None, None, "promoted"),
    ],
)
def test_what_main_brought_to_production_has_the_approval_that_its_tier_asks_for(
    own: Path, tier: str, known: dict[str, str] | None, said: str | None, verdict: str
) -> None:
    tiered(own, tier)
    told(own, "production", verdict, approval=known)
    commit(own)
    on_main(own)
    found = list(map(str, rules.releases.approved(load(own))))
    assert len(found) == (said is not None)
    assert all(f"found {said}; expected an approval by another" in each for each in found)


@pytest.mark.parametrize("committed", [False, True])
def test_a_proposal_to_production_has_no_approval_yet(own: Path, committed: bool) -> None:
    tiered(own, "high")
    on_main(own)
    told(own, "production", "pending")
    if committed:
        commit(own)
    assert list(rules.releases.approved(load(own))) == []


@pytest.mark.parametrize("committed", [False, True])
def test_a_settled_record_without_approval_is_no_proposal(own: Path, committed: bool) -> None:
    tiered(own, "high")
    on_main(own)
    told(own, "production", "promoted")
    if committed:
        commit(own)
    assert len(list(rules.releases.approved(load(own)))) == 1


@pytest.mark.parametrize(("before", "after", "findings"), [("low", "high", 0), ("high", "low", 1)])
def test_the_tier_is_that_of_the_day_when_the_record_came(
    own: Path, before: str, after: str, findings: int
) -> None:
    tiered(own, before)
    told(own, "production", "pending")
    commit(own)
    tiered(own, after)
    told(own, "production", "promoted")
    commit(own)
    on_main(own)
    assert len(list(rules.releases.approved(load(own)))) == findings


def test_staging_asks_for_no_approval(own: Path) -> None:
    tiered(own, "high")
    told(own, "staging", "promoted")
    commit(own)
    on_main(own)
    assert list(rules.releases.approved(load(own))) == []


MONITORS = "deploy/platform/monitoring/scrapes.yaml"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"deploy/overlays/production/kustomization.yaml": None},
            "kustomization.yaml: found no fi",
        ),
        ({"deploy/rendered/production.yaml": None}, "rendered/production.yaml: found no file"),
        (
            {"deploy/rendered/canada.yaml": "apiVersion: v1\nkind: A\nmetadata: {name: a}\n"},
            "canada",
        ),
        ({PLACE.format("canada"): "a: 1\n"}, "rendered/canada.yaml: found no file; expected one, "),
        (
            {MONITORS: "spec: {}\n---\n"},
            f"{MONITORS}: document 1: found no object; expected apiVers",
        ),
        (
            {"deploy/platform/odd.yml": "a: 1\n"},
            "deploy/platform/odd.yml: document 1: found no obj",
        ),
    ],
)
def test_a_file_that_no_rule_reads_is_named(
    own: Path, change: dict[str, str | None], words: str
) -> None:
    assert list(rules.releases.complete(load(own))) == []
    for name, text in change.items():
        path = own / name
        if text is None:
            path.unlink()
            continue
        path.parent.mkdir(exist_ok=True)
        path.write_text(text + (path.read_text() if path.is_file() else ""))
    found = load(own)
    assert words in "\n".join(map(str, rules.releases.complete(found)))
    if MONITORS in change:
        assert any(found.all("PodMonitor"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a: 1\n", "staging/release.yaml: found environment: Field required; expected a whole"),
        (b"", "staging/release.yaml: found the record: Input should be"),
        (b"\xff", "staging/release.yaml: found UnicodeDecodeError; expected a record in UTF-8"),
        (
            yaml.safe_dump(record(environment="production")).encode(),
            "release.yaml: environment: found production; expected staging",
        ),
    ],
)
def test_a_record_that_nobody_can_read_is_a_finding_and_no_end(
    own: Path, content: bytes, words: str
) -> None:
    place = own / PLACE.format("staging")
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(content)
    found = load(own)
    (finding,) = rules.releases.complete(found)
    assert words in str(finding)
    by_hand = lint.looked(Rule("a", "", rules.releases.by_hand), found)
    assert not by_hand.findings
    assert "staging/release.yaml" in str(by_hand.missing)


def test_findings_are_counted_in_words() -> None:
    told = [
        [*lint.lines((Result(lint.RULES[0], given),), tree())][-1].partition(":")[0]
        for given in ((), (FINDING,), (FINDING, FINDING))
    ]
    assert told == ["0 findings", "1 finding", "2 findings"]


def released(name: str, digit: str) -> Release:
    fields = {"environment": name, "image": f"sha256:{64 * digit}", "commit": 40 * "e"}
    return Release.model_validate(record(**fields))


def test_the_command_says_what_was_checked_and_exits_by_it(
    monkeypatch: pytest.MonkeyPatch, shipped: tuple[Tree, tuple[Result, ...]]
) -> None:
    found, passed = shipped
    failed = Result(lint.RULES[0], (FINDING,))
    blind = Result(lint.RULES[0], (), "nothing there")
    for results, code in (((passed[0],), 0), ((failed,), 1), ((blind,), 2)):
        monkeypatch.setattr(lint, "lint", lambda _, given=results: given)
        done = CliRunner().invoke(lint_deploy, [])
        assert done.exit_code == code
        assert f"objects, environments {' and '.join(e.name for e in found.environments)}" in (
            done.output
        )


def test_the_command_lists_its_rules_without_running_them() -> None:
    done = CliRunner().invoke(lint_deploy, ["--rules"])
    assert done.exit_code == 0
    assert len(done.output.splitlines()) == len(lint.RULES)
