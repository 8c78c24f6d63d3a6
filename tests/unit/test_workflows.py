"""The workflows keep their rules, and each rule was seen red."""

import copy
import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import ROOT
from preflight.cli import main
from preflight.delivery import overlay, promotion
from preflight.gates import CODE_SUITES, LINT, REQUIRED, TIMED
from workflow import expressions, rules

FOLDER = ROOT / ".github/workflows"
FILES = sorted(FOLDER.glob("*.yml"))
LOCAL = sorted(ROOT.glob(".github/actions/*/action.yml"))
KNOWN = {
    "make": set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)),
    "preflight": set(main.commands),
}
Change = Callable[[Any], object]


def parsed(path: Path) -> Any:
    """A workflow or a composite action."""
    return yaml.safe_load(path.read_text())


def changed(name: str, change: Change) -> Any:
    """A workflow with a fault planted."""
    found = copy.deepcopy(parsed(FOLDER / name))
    change(found)
    return found


def job(name: str, **keys: object) -> Change:
    """A fault that changes keys of a job."""
    return lambda workflow: workflow["jobs"][name].update(keys)


def step(job_name: str, uses: str, **keys: object) -> Change:
    """A fault that changes keys of what a job's step gives to an action."""

    def change(workflow: Any) -> None:
        found = [
            each for each in workflow["jobs"][job_name]["steps"] if uses in each.get("uses", "")
        ]
        found[0].setdefault("with", {}).update(keys)

    return change


def added(name: str, **keys: object) -> Change:
    """A fault that adds a step to a job."""
    return lambda workflow: workflow["jobs"][name]["steps"].append(keys)


def names(paths: list[Path]) -> list[str]:
    """How test cases are called."""
    return [str(path.relative_to(ROOT / ".github")) for path in paths]


each_workflow = pytest.mark.parametrize("path", FILES, ids=names(FILES))
each_file = pytest.mark.parametrize("path", [*FILES, *LOCAL], ids=names([*FILES, *LOCAL]))


def test_every_action_is_pinned_by_commit_with_its_version_beside() -> None:
    for path in [*ROOT.glob(".github/workflows/*.yml"), *ROOT.glob(".github/actions/*/*.yml")]:
        for line in path.read_text().splitlines():
            if "uses:" in line and "./" not in line:
                assert re.search(r"@[0-9a-f]{40} # v\d", line), f"{path}: {line}"


def test_every_step_of_a_workflow_is_one_make_target_that_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for path in ROOT.glob(".github/workflows/*.yml"):
        for job in yaml.safe_load(path.read_text())["jobs"].values():
            for step in job["steps"]:
                if step.get("run", rules.NOTHING) != rules.NOTHING:
                    words = step["run"].split()
                    assert words[0] == "make", step["run"]
                    assert set(words[1:]) <= targets, step["run"]


@each_file
def test_every_command_is_one_target_or_one_command_that_exists(path: Path) -> None:
    assert rules.commands(parsed(path), KNOWN) == []


@pytest.mark.parametrize(
    "run",
    ["make test | tee log", "make test || true", "make nothing", "preflight nothing", "pytest",
     "make test\nmake lint", "make -k test", "echo $(make test)"],
)  # fmt: skip
def test_any_other_command_is_named(run: str) -> None:
    assert rules.commands({"jobs": {"a": {"steps": [{"run": run}]}}}, KNOWN) == [run]
    assert rules.commands({"runs": {"steps": [{"run": run}]}}, KNOWN) == [run]


@each_file
def test_every_published_action_is_pinned(path: Path) -> None:
    assert rules.unpinned(path.read_text()) == []


@pytest.mark.parametrize(
    "line",
    [
        "- uses: actions/checkout@v7",
        "- uses: actions/checkout@main # v7.0.1",
        f"- uses: actions/checkout@{40 * 'a'}",
        f"- uses: actions/checkout@{39 * 'a'} # v7.0.1",
        f"- {{uses: actions/checkout@{40 * 'a'}}}",
        "uses: docker://alpine:3 # v3",
    ],
)
def test_an_action_that_is_not_pinned_is_named(line: str) -> None:
    assert rules.unpinned(f"steps:\n  {line}\n") == [line]


@each_file
def test_nothing_goes_on_after_an_error(path: Path) -> None:
    assert rules.going_on(parsed(path)) == []


def test_going_on_after_an_error_is_named_in_a_job_and_in_a_step() -> None:
    faults = (job("test", **{"continue-on-error": True}), added("test", **{"continue-on-error": 1}))
    found = [rules.going_on(changed("pull-request.yml", fault)) for fault in faults]
    assert found == [["continue-on-error: True"], ["continue-on-error: 1"]]


@each_workflow
def test_few_jobs_may_write_and_only_what_they_must(path: Path) -> None:
    assert rules.granted(parsed(path), path.name) == []


@pytest.mark.parametrize(
    ("file", "fault", "named"),
    [
        ("pull-request.yml", job("test", permissions={"contents": "write"}), "test: contents"),
        ("pull-request.yml", job("load", permissions="write-all"), "load: permissions are not"),
        ("report.yml", job("comment", permissions={"contents": "write"}), "comment: contents"),
        ("security.yml", job("codeql", permissions={"id-token": "write"}), "codeql: id-token"),
        ("report.yml", lambda workflow: workflow.pop("permissions"), "top: permissions are not {}"),
        (
            "portable.yml",
            lambda workflow: workflow["jobs"]["test"].pop("permissions"),
            "test: perm",
        ),
    ],
)
def test_a_permission_that_is_not_needed_is_named(file: str, fault: Change, named: str) -> None:
    (found,) = rules.granted(changed(file, fault), file)
    assert found.startswith(named)


@each_workflow
def test_no_checkout_leaves_its_credentials(path: Path) -> None:
    assert rules.left_behind(parsed(path)) == []


def test_credentials_that_stay_are_named() -> None:
    fault = step("gates", "checkout", **{"persist-credentials": True})
    assert rules.left_behind(changed("pull-request.yml", fault)) == ["gates"]


@each_file
def test_no_text_of_an_event_becomes_a_command(path: Path) -> None:
    assert rules.injected(parsed(path)) == []


def test_text_of_an_event_in_a_command_is_named() -> None:
    run = "make ${{ github.head_ref }}"
    assert rules.injected(changed("pull-request.yml", added("test", run=run))) == [run]


def test_a_pull_request_is_decided_by_every_job() -> None:
    assert rules.decided(parsed(FOLDER / "pull-request.yml")) == []


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        (
            job("decide", needs=["scope", "lint", "test", "gates", "load", "rehearse"]),
            "benchmark: not needed",
        ),
        (lambda workflow: workflow["jobs"].update(extra={"steps": []}), "extra: not needed"),
        (job("decide", **{"if": "success()"}), "decide: does not always run"),
        (step("decide", "alls-green", jobs="{}"), "decide: does not ask for every job"),
        (step("decide", "alls-green", **{"allowed-failures": "load"}), "decide: may let a failure"),
    ],
)
def test_a_job_that_does_not_count_is_named(fault: Change, named: str) -> None:
    (found,) = rules.decided(changed("pull-request.yml", fault))
    assert found.startswith(named)


def test_a_pull_request_runs_whatever_its_report_requires() -> None:
    found = {
        step["run"] for _, step in rules.steps(parsed(FOLDER / "pull-request.yml")) if "run" in step
    }
    beside = {"make scope", "make tools", "make promtool", "make verdict"}
    assert beside <= found
    assert found - beside == {
        "make lint", "make test", "make gates", "make bench-compare", "make load", "make rehearse"
    }  # fmt: skip
    assert {*CODE_SUITES, *TIMED, *LINT} < set(REQUIRED)


def test_no_filter_keeps_the_required_check_from_starting() -> None:
    workflow = parsed(FOLDER / "pull-request.yml")
    assert set(rules.triggers(workflow)) == {"pull_request", "merge_group", "push"}
    assert rules.filtered(workflow) == []


def test_a_filter_is_named() -> None:
    fault: Change = lambda workflow: workflow[True].update(pull_request={"paths": ["src/**"]})  # noqa: E731
    assert rules.filtered(changed("pull-request.yml", fault)) == ["pull_request: paths"]


def test_every_job_checks_out_the_change_itself_with_its_history() -> None:
    assert rules.elsewhere(parsed(FOLDER / "pull-request.yml")) == []


@pytest.mark.parametrize("keys", [{"ref": "main"}, {"fetch-depth": 1}])
def test_another_checkout_is_named(keys: dict[str, object]) -> None:
    fault = step("load", "checkout", **keys)
    assert rules.elsewhere(changed("pull-request.yml", fault)) == ["load"]


def test_only_the_scope_may_let_a_job_be_skipped() -> None:
    assert rules.skippable(parsed(FOLDER / "pull-request.yml")) == []


def test_a_job_that_may_be_skipped_for_another_reason_is_named() -> None:
    fault = job("load", **{"if": "github.actor != 'me'"})
    assert rules.skippable(changed("pull-request.yml", fault)) == ["load: github.actor != 'me'"]


def test_every_job_keeps_its_evidence_whatever_happened() -> None:
    assert rules.lost(parsed(FOLDER / "pull-request.yml")) == []


def test_evidence_that_a_red_job_would_lose_is_named() -> None:
    def on_success(workflow: Any) -> None:
        workflow["jobs"]["gates"]["steps"][-1].pop("if")

    faults = (
        on_success,
        step("test", "upload-artifact", name="evidence-gates"),
        step("load", "upload-artifact", path="reports"),
    )
    found = [rules.lost(changed("pull-request.yml", fault))[0][:5] for fault in faults]
    assert found == ["gates", "test:", "load:"]


# Where no change's code runs: a comment on a pull request, an issue about main, a release.
BOT, TRACKING = "secrets.BOT_KEY", "secrets.TRACKING_TOKEN"
SECRETIVE = {
    "report.yml": {"github.token"},
    "drill.yml": {"github.token"},
    "commits.yml": {"github.token"},
    "release.yml": {"github.token", BOT, TRACKING},
    "verdict.yml": {"github.token", BOT, TRACKING},
    "promote.yml": {BOT, TRACKING},
    "rollback.yml": {BOT, TRACKING},
}
WRITERS = ("release.yml", "verdict.yml", "promote.yml", "rollback.yml")
each_writer = pytest.mark.parametrize("name", WRITERS)


@each_workflow
def test_no_secret_lies_where_a_changes_code_runs(path: Path) -> None:
    assert set(rules.secrets(path.read_text())) == SECRETIVE.get(path.name, set())


@pytest.mark.parametrize("name", ["drill.yml", "commits.yml"])
def test_a_token_that_writes_issues_is_of_the_job_that_tells_alone(name: str) -> None:
    jobs = parsed(FOLDER / name)["jobs"]
    assert [name for name, each in jobs.items() if rules.secrets(str(each))] == ["tell"]


@pytest.mark.parametrize(
    "line", ["x: ${{ secrets.KEY }}", "x: ${{ secrets['KEY'] }}", "secrets: inherit"]
)
def test_a_secret_is_named(line: str) -> None:
    assert len(rules.secrets(line)) == 1


@pytest.mark.parametrize("name", ["report.yml", "promote.yml"])
def test_a_workflow_that_runs_after_a_changes_takes_nothing_of_it(name: str) -> None:
    assert rules.trusting(parsed(FOLDER / name)) == []


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        (
            step("comment", "checkout", ref="${{ github.event.workflow_run.head_sha }}"),
            "checks out",
        ),
        (step("comment", "checkout", repository="fork/x"), "checks out fork/x"),
        (step("comment", "setup", cache=True), "restores a cache"),
        (added("comment", uses="actions/cache@x"), "actions/cache"),
        (added("comment", uses="actions/download-artifact@x"), "actions/download-artifact"),
        (lambda workflow: workflow[True].update(pull_request_target=None), "pull_request_target"),
    ],
)
def test_something_of_the_change_in_a_trusted_workflow_is_named(fault: Change, named: str) -> None:
    (found,) = rules.trusting(changed("report.yml", fault))
    assert named in found


def test_no_other_workflow_starts_with_the_rights_of_main() -> None:
    for path in FILES:
        rights = {"workflow_run", "pull_request_target"} & set(rules.triggers(parsed(path)))
        after = path.name in ("report.yml", "promote.yml")
        assert rights == ({"workflow_run"} if after else set()), path


def test_the_comment_follows_the_workflow_that_judges() -> None:
    judged, posts = (parsed(FOLDER / name) for name in ("pull-request.yml", "report.yml"))
    assert rules.triggers(posts)["workflow_run"]["workflows"] == [judged["name"]]


def test_the_ruleset_requires_the_check_that_decides() -> None:
    ruleset = json.loads((ROOT / ".github/rulesets/main.json").read_text())
    kept = {rule["type"]: rule.get("parameters", {}) for rule in ruleset["rules"]}
    checks = kept["required_status_checks"]["required_status_checks"]
    named = [("pull-request.yml", "decide"), ("commits.yml", "commits")]
    jobs = [parsed(FOLDER / name)["jobs"][each]["name"] for name, each in named]
    assert [check["context"] for check in checks] == jobs
    assert all("merge_group" in rules.triggers(parsed(FOLDER / name)) for name, _ in named)
    reviews = ("require_code_owner_review", "dismiss_stale_reviews_on_push",
               "require_last_push_approval")  # fmt: skip
    assert all(kept["pull_request"][name] for name in reviews)
    assert {"deletion", "non_fast_forward", "required_linear_history", "merge_queue"} < set(kept)
    assert ruleset["bypass_actors"] == []


def test_the_pull_request_template_asks_at_most_seven_things() -> None:
    text = (ROOT / ".github/PULL_REQUEST_TEMPLATE.md").read_text()
    assert 1 <= text.count("- [ ]") <= 7


def test_the_form_for_a_bug_requires_its_regression_test() -> None:
    form = parsed(ROOT / ".github/ISSUE_TEMPLATE/bug.yml")
    (asked,) = (field for field in form["body"] if field["id"] == "test")
    assert asked["validations"] == {"required": True}


def test_owners_are_teams() -> None:
    lines = (ROOT / ".github/CODEOWNERS").read_text().splitlines()
    owners = [line.split()[1:] for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"@[\w-]+/[\w-]+", each) for line in owners for each in line)


def test_every_owned_path_exists() -> None:
    lines = (ROOT / ".github/CODEOWNERS").read_text().splitlines()
    owned = {line.split()[0] for line in lines if line.startswith("/")}
    assert [path for path in sorted(owned) if not any(ROOT.glob(path.strip("/")))] == []


@each_writer
def test_what_writes_runs_in_the_repository_alone_that_its_variable_names(name: str) -> None:
    assert rules.unguarded(parsed(FOLDER / name)) == []


def test_a_job_that_any_copy_would_run_is_named() -> None:
    faults = (
        job("gates", **{"if": "always()"}),
        job("gates", **{"if": f"always() || {rules.GUARD}"}),
        lambda workflow: workflow["jobs"]["gates"].pop("if"),
    )
    found = [rules.unguarded(changed("release.yml", fault)) for fault in faults]
    assert found == [["gates"]] * 3


@each_writer
def test_what_writes_restores_nothing_that_a_pull_request_could_have_written(name: str) -> None:
    assert rules.cached(parsed(FOLDER / name)) == []


@pytest.mark.parametrize(
    "fault",
    [step("build", "setup", cache=True), added("build", uses="actions/cache/restore@x")],
)
def test_a_restored_cache_is_named(fault: Change) -> None:
    (found,) = rules.cached(changed("release.yml", fault))
    assert found.startswith("build: ")


@each_writer
def test_secrets_are_of_environments(name: str) -> None:
    own = parsed(FOLDER / name)
    named = set(rules.keyless(own))
    # The run's own token may be read with; it is no secret that anybody keeps.
    assert {each for each in named if "secrets." in str(own["jobs"].get(each, own))} == set()


def test_a_secret_without_an_environment_is_named() -> None:
    fault: Change = lambda workflow: workflow["jobs"]["stage"].pop("environment")  # noqa: E731
    assert "stage" in rules.keyless(changed("release.yml", fault))
    shared: Change = lambda workflow: workflow["env"].update(KEY="${{ secrets.KEY }}")  # noqa: E731
    assert "all jobs" in rules.keyless(changed("verdict.yml", shared))


@each_writer
def test_what_writes_is_never_cancelled_half_way(name: str) -> None:
    assert parsed(FOLDER / name)["concurrency"]["cancel-in-progress"] is False


def test_a_release_starts_where_what_runs_changed_and_never_on_a_record() -> None:
    workflow = parsed(FOLDER / "release.yml")
    for path in ("src/taxi/model.py", "dvc.lock", "params.yaml", "deploy/base/rollout.yaml"):
        assert rules.starts(workflow, path), path
    assert (ROOT / "deploy/overlays/staging/kustomization.yaml").is_file()
    assert rules.starts(workflow, "README.md", "deploy/overlays/staging/kustomization.yaml")
    for environment in ("staging", "production"):
        assert not rules.starts(workflow, *overlay.places(environment)), environment
    assert not rules.starts(workflow, "README.md", "docs/fork.md", "tests/unit/test_ids.py")


def test_a_release_makes_its_evidence_anew_but_for_what_is_measured_on_an_idle_machine() -> None:
    judged, released = (parsed(FOLDER / name) for name in ("pull-request.yml", "release.yml"))
    made = {name: {each["run"] for _, each in rules.steps({"jobs": {name: one}}) if "run" in each}
            for name, one in released["jobs"].items()}  # fmt: skip
    for name in ("lint", "test", "gates"):
        wanted = rules.steps({"jobs": {name: judged["jobs"][name]}})
        assert made[name] == {each["run"] for _, each in wanted if "run" in each}, name
    assert "make measured" in made["measured"]
    assert set(released["jobs"]["build"]["needs"]) == {"lint", "test", "gates", "measured"}
    assert rules.toolless(released) == []


def test_an_image_is_scanned_before_it_is_pushed_and_signed_after() -> None:
    build = parsed(FOLDER / "release.yml")["jobs"]["build"]["steps"]
    said = [each.get("run", each.get("uses", "").partition("@")[0]) for each in build]
    order = ("make restore", "make package", "aquasecurity/trivy-action", "make publish",
             "make sign", "actions/attest", "make verify")  # fmt: skip
    places = [said.index(each) for each in order]
    assert places == sorted(places)
    [scan] = [each["with"] for each in build if "trivy" in each.get("uses", "")]
    assert (scan["exit-code"], scan["severity"]) == ("1", "HIGH,CRITICAL")


def test_what_is_attested_is_named_by_the_digest_that_was_pushed() -> None:
    attested = rules.actions(parsed(FOLDER / "release.yml"), "actions/attest")
    subjects = {each["with"]["subject-digest"] for _, each in attested}
    assert subjects == {"${{ steps.publish.outputs.digest }}"}
    assert all(each["with"]["push-to-registry"] for _, each in attested)


def test_a_promotion_lands_after_its_checks_and_after_its_review() -> None:
    after = rules.triggers(parsed(FOLDER / "promote.yml"))["workflow_run"]["workflows"]
    assert after == [
        parsed(FOLDER / f"{name}.yml")["name"] for name in ("pull-request", "commits", "reviewed")
    ]
    assert "promote/production/" in parsed(FOLDER / "promote.yml")["jobs"]["land"]["if"]
    assert promotion.branch("production", "1-a").startswith("promote/production/")


def test_whoever_reviews_starts_nothing_that_may_do_anything() -> None:
    reviewed = parsed(FOLDER / "reviewed.yml")
    assert [each for _, each in rules.steps(reviewed)] == [{"run": rules.NOTHING}]
    assert [each["permissions"] for each in reviewed["jobs"].values()] == [{}]


def test_only_two_environments_are_ever_named() -> None:
    settle = parsed(FOLDER / "verdict.yml")["jobs"]["settle"]["environment"]
    context = {"github": {"event": {"client_payload": {"environment": "elsewhere"}}}}
    assert expressions.filled(settle, context, {}) == "staging"
    context["github"]["event"]["client_payload"]["environment"] = "production"
    assert expressions.filled(settle, context, {}) == "production"


def test_what_tests_a_commit_has_no_bots_name_in_its_environment() -> None:
    workflow = parsed(FOLDER / "release.yml")
    named = [name for name, each in workflow["jobs"].items() if "GIT_AUTHOR_NAME" in str(each)]
    assert (named, workflow.get("env")) == (["stage"], None)


def test_git_is_told_the_token_and_nothing_else() -> None:
    script = ROOT / ".github/askpass"
    asked = ("Username for 'https://github.com': ", "Password for 'https://github.com': ")
    told = [
        subprocess.run(
            [script, each],
            env={"GITHUB_TOKEN": "ghs_x"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for each in asked
    ]
    assert told == ["x-access-token\n", "ghs_x\n"]


@pytest.mark.parametrize(
    ("build", "stage", "again"),
    [("success", "failure", True), ("failure", "skipped", False), ("success", "cancelled", False)],
)
def test_a_release_goes_on_only_where_it_was_refused_at_its_last_step(
    tmp_path: Path, build: str, stage: str, again: bool
) -> None:
    jobs = f"build: {build}\\nstage: {stage}"
    gh = tmp_path / "gh"
    gh.write_text(
        f"""#!/bin/sh
echo "$*" >>{tmp_path}/called
case "$2" in
  list) echo 7 ;;
  view) printf '{jobs}\\n' ;;
esac
"""
    )
    gh.chmod(0o755)
    path = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run([ROOT / ".github/resume"], env=path, check=True)
    called = (tmp_path / "called").read_text().splitlines()
    assert [each for each in called if each.startswith("run rerun")] == (
        ["run rerun 7 --failed"] if again else []
    )


def test_where_no_release_failed_nothing_is_asked_further(tmp_path: Path) -> None:
    gh = tmp_path / "gh"
    gh.write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/called\n')
    gh.chmod(0o755)
    path = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run([ROOT / ".github/resume"], env=path, check=True)
    assert len((tmp_path / "called").read_text().splitlines()) == 1
