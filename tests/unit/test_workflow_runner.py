"""The runner of workflows: order, conditions, outputs, artifacts, and what it refuses."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import ROOT, commit, git
from workflow import expressions, rules
from workflow.actions import ACTIONS, Inputs, Place
from workflow.runner import Result, Run, ordered

CHECKOUT = """
      - uses: actions/checkout@x
        with: {fetch-depth: 0, persist-credentials: false}
"""
UPLOAD = "      - {uses: actions/upload-artifact@x, if: always(), with: {name: %s, path: out}}\n"
FUNCTIONS = {"always": lambda: True, "success": lambda: False, "failure": lambda: True}
CONTEXT = {
    "needs": {"a": {"result": "success", "outputs": {"code": "true"}}},
    "github": {"pulls": [{"number": 42}], "head": "promote/production/1-a"},
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A repository with one file, and one commit on main."""
    root = tmp_path / "source"
    root.mkdir()
    git(root, "init", "--quiet", "--initial-branch=main")
    (root / "greeting").write_text("hello\n")
    commit(root)
    return root


def ran(source: Path, text: str, **more: Any) -> dict[str, Result]:
    """What became of each job of a workflow."""
    return run(source, **more).execute(written(source, text))


def run(source: Path, **more: Any) -> Run:
    """A run for a push of the source's commit."""
    sha = git(source, "rev-parse", "HEAD").strip()
    github = {"sha": sha, "event_name": "push", "event": {}}
    return Run(source, source.parent / "run", github, source, **more)


def written(source: Path, text: str) -> Path:
    """A workflow's file."""
    path = source.parent / "workflow.yml"
    path.write_text("jobs:" + text)
    return path


def results(done: dict[str, Result]) -> dict[str, str]:
    """Results by job."""
    return {name: result.result for name, result in done.items()}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("'a' == 'A'", True),
        ("needs.a.outputs.code == 'true'", True),
        ("needs.a.outputs.code != 'true' || !('a' == 'b')", True),
        ("github.event.pull_request.head.sha || 'x'", "x"),
        ("needs.a.outputs.code == 'false' && 'b, c' || ''", ""),
        ("toJSON(needs.a.outputs)", '{"code": "true"}'),
        ("'it''s'", "it's"),
        ("github.pulls[0].number || 'none'", 42),
        ("github.pulls[1].number || 'none'", "none"),
        ("startsWith(github.head, 'promote/')", True),
        ("startsWith(github.head, 'revert/')", False),
        ("null || false", False),
    ],
)
def test_an_expression_has_githubs_value(text: str, expected: object) -> None:
    assert expressions.value(text, CONTEXT, FUNCTIONS) == expected


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("secrets.KEY", "secrets"),
        ("fromJSON('1')", "fromJSON"),
        ("'a' 'b'", "'b'"),
        ("a + b", "a + b"),
        ("(github.x", "not closed"),
    ],
)
def test_an_expression_that_is_not_known_is_named(text: str, named: str) -> None:
    with pytest.raises(ValueError, match=named.replace("+", r"\+")):
        expressions.value(text, CONTEXT, FUNCTIONS)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (None, False),
        ("needs.a.outputs.code == 'true'", False),
        ("always()", True),
        ("always() && needs.a.outputs.code == 'true'", True),
        ("${{ always() }}", True),
        ("failure()", True),
    ],
)
def test_a_condition_without_a_status_asks_for_success(
    condition: str | None, expected: bool
) -> None:
    assert expressions.holds(condition, CONTEXT, FUNCTIONS) is expected


def test_jobs_run_after_those_that_they_need() -> None:
    jobs = {"c": {"needs": ["a", "b"]}, "b": {"needs": "a"}, "a": {}}
    assert [name for name, _ in ordered(jobs)] == ["a", "b", "c"]


@pytest.mark.parametrize("jobs", [{"a": {"needs": "a"}}, {"a": {"needs": "nobody"}}])
def test_needs_that_never_come_are_refused(jobs: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="never come: a"):
        list(ordered(jobs))


def test_a_job_works_in_a_clone_of_its_own(source: Path) -> None:
    steps = CHECKOUT + "      - run: grep hello greeting && echo bye > greeting\n"
    done = ran(source, f"\n  a:\n    steps:{steps}\n  b:\n    needs: a\n    steps:{steps}")
    assert results(done) == {"a": "success", "b": "success"}
    assert (source / "greeting").read_text() == "hello\n"


def test_an_output_lets_a_later_job_be_skipped(source: Path) -> None:
    text = """
  scope:
    outputs: {code: "${{ steps.told.outputs.code }}"}
    steps: [{id: told, run: echo code=false >> $GITHUB_OUTPUT}]
  heavy:
    needs: scope
    if: needs.scope.outputs.code == 'true'
    steps: [{run: "false"}]
"""
    done = ran(source, text)
    assert results(done) == {"scope": "success", "heavy": "skipped"}
    assert done["scope"].outputs == {"code": "false"}


DECIDE = """
  a: {steps: [{run: "%s"}]}
  b: {needs: a, steps: [{run: "true"}]}
  decide:
    if: always()
    needs: [a, b]
    steps:
      - uses: re-actors/alls-green@x
        with: {jobs: "${{ toJSON(needs) }}", allowed-skips: "%s"}
"""


@pytest.mark.parametrize(
    ("first", "allowed", "expected"),
    [
        ("true", "", "success success success"),
        ("false", "", "failure skipped failure"),
        ("false", "b", "failure skipped failure"),
    ],
)
def test_the_last_job_decides_whatever_became_of_the_others(
    source: Path, first: str, allowed: str, expected: str
) -> None:
    done = ran(source, DECIDE % (first, allowed))
    assert " ".join(results(done).values()) == expected


def test_a_failed_step_ends_a_job_but_for_what_always_runs(source: Path) -> None:
    text = "\n  a:\n    steps:\n      - run: mkdir out; echo 1 > out/part; exit 3\n"
    text += "      - run: echo 2 > out/part\n" + UPLOAD % "evidence-a"
    assert results(ran(source, text)) == {"a": "failure"}
    assert (source.parent / "run/artifacts/evidence-a/part").read_text() == "1\n"


def test_artifacts_of_a_pattern_are_merged(source: Path) -> None:
    text = "".join(
        f"\n  {name}:\n    steps:\n      - run: mkdir out; echo {name} > out/{name}\n"
        + UPLOAD % f"evidence-{name}"
        for name in ("a", "b")
    )
    text += """
  c:
    needs: [a, b]
    steps:
      - uses: actions/download-artifact@x
        with: {pattern: evidence-*, path: all, merge-multiple: true}
      - run: test "$(cat all/a all/b | tr '\\n' ' ')" = 'a b '
"""
    assert results(ran(source, text))["c"] == "success"


def test_hidden_files_are_not_uploaded(source: Path) -> None:
    text = "\n  a:\n    steps:\n      - run: mkdir out; echo 1 > out/.hidden\n" + UPLOAD % "x"
    assert results(ran(source, text)) == {"a": "success"}
    assert not (source.parent / "run/artifacts/x").exists()


def test_a_folder_that_is_kept_comes_back_by_the_beginning_of_its_key(source: Path) -> None:
    text = """
  a:
    steps:
      - {uses: actions/cache@x, with: {path: kept, key: "dvc-1"}}
      - run: mkdir kept; echo 1 > kept/object
  b:
    needs: a
    steps:
      - {uses: actions/cache/restore@x, with: {path: kept, key: "dvc-2", restore-keys: "dvc-"}}
      - run: grep 1 kept/object
"""
    assert results(ran(source, text)) == {"a": "success", "b": "success"}


def test_a_folder_of_a_job_that_failed_is_not_kept(source: Path) -> None:
    text = """
  a:
    steps:
      - {uses: actions/cache@x, with: {path: kept, key: "dvc-1"}}
      - run: mkdir kept; exit 1
"""
    ran(source, text)
    assert list((source.parent / "run/caches").iterdir()) == []


def test_a_local_actions_steps_run_with_its_inputs(source: Path) -> None:
    action = source / ".github/actions/greet/action.yml"
    action.parent.mkdir(parents=True)
    action.write_text(
        "inputs: {word: {default: hello}}\n"
        "runs:\n  steps: [{shell: bash, run: 'grep ${{ inputs.word }} greeting'}]\n"
    )
    commit(source)
    use = "      - {uses: ./.github/actions/greet, with: {word: %s}}\n"
    text = f"\n  a:\n    steps:{CHECKOUT}{use % 'hello'}\n  b:\n    steps:{CHECKOUT}{use % 'bye'}"
    assert results(ran(source, text)) == {"a": "success", "b": "failure"}


def test_a_pipe_hides_a_failure_as_on_github(source: Path) -> None:
    text = '\n  a: {steps: [{run: "false | true"}]}\n'
    text += '  b: {steps: [{run: "false | true", shell: bash}]}\n'
    assert results(ran(source, text)) == {"a": "success", "b": "failure"}


def test_a_command_that_takes_longer_than_its_job_may_fails(source: Path) -> None:
    text = "\n  a: {timeout-minutes: 0.001, steps: [{run: sleep 5}]}\n"
    done = ran(source, text)
    assert results(done) == {"a": "failure"}
    assert done["a"].seconds < 4


def test_no_variable_of_this_machine_reaches_a_job(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_TOKEN", "secret")
    assert results(ran(source, '\n  a: {steps: [{run: test -z "$A_TOKEN"}]}\n'))["a"] == "success"


def test_a_step_gets_the_variables_that_it_states(source: Path) -> None:
    env = "{EVENT: '${{ github.event_name }}'}"
    text = f"\n  a:\n    steps:\n      - run: test $EVENT = push\n        env: {env}\n"
    assert results(ran(source, text)) == {"a": "success"}


def test_an_action_of_the_tests_own_stands_in(source: Path) -> None:
    used: list[str] = []

    def install(place: Place, inputs: Inputs) -> bool:
        used.append(inputs["version"])
        return True

    text = "\n  a: {steps: [{uses: iterative/setup-cml@x, with: {version: '1'}}]}\n"
    assert results(ran(source, text, more={"iterative/setup-cml": install})) == {"a": "success"}
    assert used == ["1"]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("\n  a: {steps: [{uses: some/action@x}]}\n", "some/action"),
        ("\n  a: {strategy: {matrix: {}}, steps: []}\n", "no matrix"),
        ("\n  a: {steps: [{uses: actions/checkout@x}]}\n", "fetch-depth 0"),
    ],
)
def test_what_the_runner_does_not_know_is_refused(source: Path, text: str, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        ran(source, text)


def test_lent_environments_are_not_installed_again(source: Path) -> None:
    (source / ".venv").mkdir()
    (source / ".venv/.stamp").touch()
    (source / "requirements").mkdir()
    (source / "requirements/dev.txt").write_text("x==1\n")
    (source / ".gitignore").write_text(".venv/\n")
    (source / "Makefile").write_text(
        "setup: .venv/.stamp\n.venv/.stamp: requirements/dev.txt\n\texit 1\n"
    )
    commit(source)
    steps = f"{CHECKOUT}      - uses: actions/setup-python@x\n      - run: make setup\n"
    steps += '      - run: test -z "$(git status --porcelain)"\n'
    assert results(ran(source, f"\n  a:\n    steps:{steps}")) == {"a": "success"}


def test_every_published_action_of_a_pull_requests_run_is_known() -> None:
    text = (ROOT / ".github/workflows/pull-request.yml").read_text()
    used = {line.split("uses: ")[1].split("@")[0] for line in text.splitlines() if "uses: " in line}
    assert {name for name in used if not name.startswith("./")} <= set(ACTIONS)


def test_a_pull_request_requires_the_tools_of_its_checks() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/pull-request.yml").read_text())
    assert rules.toolless(workflow) == []


@pytest.mark.parametrize(
    ("job", "key", "other"),
    [("lint", "run", "make scope"), ("test", "run", "make scope"), ("gates", "env", {})],
)
def test_a_job_that_would_leave_out_what_a_tool_checks_is_named(
    job: str, key: str, other: object
) -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/pull-request.yml").read_text())
    command = "make tools" if key == "run" else f"make {job}"
    (found,) = (each for each in workflow["jobs"][job]["steps"] if each.get("run") == command)
    found[key] = other
    assert rules.toolless(workflow) == [f"{job}: may leave out what a tool checks"]


def test_variables_of_the_workflow_are_those_of_each_step(source: Path) -> None:
    path = written(source, "\n  a: {steps: [{run: test $NAME = of-vars}]}\n")
    path.write_text("env: {NAME: '${{ vars.NAME }}'}\n" + path.read_text())
    done = run(source, contexts={"vars": {"NAME": "of-vars"}}).execute(path)
    assert results(done) == {"a": "success"}


def test_inputs_of_a_dispatch_are_there_after_a_composite_action(source: Path) -> None:
    action = source / ".github/actions/own/action.yml"
    action.parent.mkdir(parents=True)
    action.write_text("inputs: {x: {default: y}}\nruns: {steps: [{run: 'true', shell: bash}]}\n")
    commit(source)
    last = "      - {uses: ./.github/actions/own}\n      - run: test ${{ inputs.why }} = fares\n"
    done = ran(source, f"\n  a:\n    steps:{CHECKOUT}{last}", contexts={"inputs": {"why": "fares"}})
    assert results(done) == {"a": "success"}


def test_an_action_tells_the_steps_after_it(source: Path) -> None:
    def told(place: Place, inputs: Inputs) -> bool:
        place.outputs["word"] = "x"
        return True

    steps = "[{uses: own/one@x, id: one}, {run: 'test ${{ steps.one.outputs.word }} = x'}]"
    assert results(ran(source, f"\n  a: {{steps: {steps}}}\n", more={"own/one": told})) == {
        "a": "success"
    }


def test_a_job_that_is_given_is_not_run(source: Path) -> None:
    text = "\n  a: {steps: [{run: 'false'}]}\n  b: {needs: a, steps: [{run: 'true'}]}\n"
    done = ran(source, text, given={"a": Result("success")})
    assert results(done) == {"a": "success", "b": "success"}


def test_files_of_a_pattern_are_uploaded_without_the_others(source: Path) -> None:
    steps = (
        "\n      - run: mkdir -p out/below; touch out/release.json out/other out/below/release.json"
        "\n      - {uses: actions/upload-artifact@x, with: {name: kept, path: out/release*.json}}\n"
    )
    assert results(ran(source, f"\n  a:\n    steps:{steps}")) == {"a": "success"}
    kept = source.parent / "run/artifacts/kept"
    assert [path.name for path in kept.rglob("*")] == ["release.json"]
