"""Policy, workflows: what the deciding job no longer asks for is named."""

import pytest

from changes import Texts, change
from preflight.policy import deciders, jobs

PATH, OTHER = ".github/workflows/pull-request.yml", ".github/workflows/test.yml"
GREEN = "re-actors/alls-green@" + "0" * 40
DECIDER = f"""\
  decide:
    if: always()
    needs: [lint, load]
    steps:
      - uses: {GREEN}
        with:
          jobs: ${{{{ toJSON(needs) }}}}
"""
WORKFLOW = f"""\
on:
  pull_request:
  merge_group:
jobs:
  lint:
    steps:
      - run: make lint
  load:
    steps:
      - run: make load
{DECIDER}"""
LOAD = "  load:\n    steps:\n      - run: make load\n"
LOST = "decider no longer runs always"


def named(before: Texts, after: Texts) -> list[str]:
    """What is said about two sets of files."""
    return [str(each) for each in deciders.weakened(change(before, after))]


def edited(old: str, new: str) -> list[str]:
    """What is said about the workflow after an edit."""
    assert old in WORKFLOW
    return named({PATH: WORKFLOW}, {PATH: WORKFLOW.replace(old, new)})


@pytest.mark.parametrize(
    ("old", "new"),
    [("[lint, load]", "[lint]"), ("[lint, load]", "lint"), ("[lint, load]", "[lint, x]")],
)
def test_a_job_dropped_from_the_needs_is_named(old: str, new: str) -> None:
    assert edited(old, new) == [f"job dropped from the decider's needs: {PATH}: load"]


def test_a_decider_without_needs_drops_them_all() -> None:
    assert edited("    needs: [lint, load]\n", "") == [
        f"job dropped from the decider's needs: {PATH}: lint",
        f"job dropped from the decider's needs: {PATH}: load",
    ]


@pytest.mark.parametrize(
    "condition",
    ["", "    if: success()\n", "    if: always() && github.actor != 'x'\n", "    if: false\n"],
)
def test_a_decider_that_may_be_skipped_is_named(condition: str) -> None:
    assert edited("    if: always()\n", condition) == [f"{LOST}: {PATH}: decide"]


def test_the_same_condition_in_other_words_is_not_named() -> None:
    assert edited("if: always()", "if: ${{ always() }}") == []


def test_a_second_decider_stands_in_for_none() -> None:
    decoy = "  decoy:\n    if: always()\n    needs: [lint, load]\n    steps: []\n"
    after = WORKFLOW.replace("    if: always()\n", "") + decoy
    assert named({PATH: WORKFLOW}, {PATH: after}) == [f"{LOST}: {PATH}: decide"]


def test_a_decider_that_goes_is_named() -> None:
    assert edited(DECIDER, "") == [f"decider removed: {PATH}: decide"]


def test_a_decider_under_a_new_name_is_not_named() -> None:
    assert edited("  decide:", "  all-green:") == []


def test_a_decider_under_a_new_name_that_asks_less_is_named() -> None:
    after = WORKFLOW.replace("  decide:", "  all-green:").replace("[lint, load]", "[lint]")
    said = named({PATH: WORKFLOW}, {PATH: after})
    assert said == [f"job dropped from the decider's needs: {PATH}: load"]


def test_a_job_that_goes_is_named_once() -> None:
    after = WORKFLOW.replace(LOAD, "").replace("[lint, load]", "[lint]")
    assert named({PATH: WORKFLOW}, {PATH: after}) == [f"job removed: {PATH}: load"]


def test_a_job_that_nobody_needed_is_named_when_it_goes() -> None:
    before = WORKFLOW + "  extra:\n    steps: []\n"
    assert named({PATH: before}, {PATH: WORKFLOW}) == [f"job removed: {PATH}: extra"]


def test_a_job_under_a_new_name_that_is_needed_is_not_named() -> None:
    after = WORKFLOW.replace("  load:", "  traffic:").replace("[lint, load]", "[lint, traffic]")
    assert named({PATH: WORKFLOW}, {PATH: after}) == []


def test_a_job_under_a_new_name_that_nobody_needs_is_named() -> None:
    after = WORKFLOW.replace("  load:", "  traffic:").replace("[lint, load]", "[lint]")
    said = named({PATH: WORKFLOW}, {PATH: after})
    assert said == [f"job dropped from the decider's needs: {PATH}: load"]


def test_a_job_that_goes_where_nothing_decides_is_not_named() -> None:
    before = "on: push\njobs:\n  a: {steps: []}\n  b: {steps: []}\n"
    assert named({PATH: before}, {PATH: before.replace("  b: {steps: []}\n", "")}) == []


def test_more_jobs_are_not_named() -> None:
    after = WORKFLOW.replace("[lint, load]", "[lint, load, more]") + "  more:\n    steps: []\n"
    assert named({PATH: WORKFLOW}, {PATH: after}) == []
    assert named({}, {PATH: WORKFLOW}) == []


@pytest.mark.parametrize("key", ["allowed-skips", "allowed-failures"])
@pytest.mark.parametrize("value", ["load", "'lint, load'", "'[\"load\"]'"])
def test_a_needed_job_that_may_now_be_red_or_skipped_is_named(key: str, value: str) -> None:
    said = edited(DECIDER, f"{DECIDER}          {key}: {value}\n")
    assert f"{key} grown: {PATH}: decide load" in said


def test_an_expression_of_what_may_be_skipped_is_named_when_it_changes() -> None:
    before = DECIDER + "          allowed-skips: ${{ needs.scope.outputs.skips }}\n"
    said = edited(DECIDER, before)
    assert said == [f"allowed-skips grown: {PATH}: decide ${{{{needs.scope.outputs.skips}}}}"]
    texts = {PATH: WORKFLOW.replace(DECIDER, before)}
    assert named(texts, {PATH: texts[PATH] + "# More.\n"}) == []


def test_a_new_job_may_be_skipped_from_its_beginning() -> None:
    after = WORKFLOW.replace("[lint, load]", "[lint, load, new]")
    after += "          allowed-skips: new\n  new:\n    steps: []\n"
    assert named({PATH: WORKFLOW}, {PATH: after}) == []


@pytest.mark.parametrize(
    "step", ["      - run: echo fine\n", f"      - uses: {GREEN}\n        if: failure()\n"]
)
def test_a_decider_that_asks_no_more_is_named(step: str) -> None:
    after = WORKFLOW[: WORKFLOW.index(f"      - uses: {GREEN}")] + step
    said = named({PATH: WORKFLOW}, {PATH: after})
    assert said == [f"alls-green removed from the decider: {PATH}: decide"]


@pytest.mark.parametrize("jobs", ["'{}'", "${{ needs.lint.outputs.all }}", "''"])
def test_a_decider_that_judges_other_jobs_is_named(jobs: str) -> None:
    (said,) = edited("${{ toJSON(needs) }}", jobs)
    assert said.startswith(f"decider judges other jobs: {PATH}: decide; ")


@pytest.mark.parametrize("event", ["pull_request", "merge_group"])
def test_a_removed_trigger_is_named(event: str) -> None:
    assert edited(f"  {event}:\n", "") == [f"trigger removed: {PATH}: {event}"]


def test_a_removed_trigger_is_named_where_nothing_decides() -> None:
    before = "on: [pull_request, push]\njobs: {}\n"
    said = named({PATH: before}, {PATH: "on: push\njobs: {}\n"})
    assert said == [f"trigger removed: {PATH}: pull_request"]


def test_other_triggers_may_go() -> None:
    assert named({PATH: "on: [push]\njobs: {}\n"}, {PATH: "on: schedule\njobs: {}\n"}) == []


@pytest.mark.parametrize("key", ["paths", "paths-ignore", "types", "branches-ignore"])
@pytest.mark.parametrize("event", ["pull_request", "merge_group"])
def test_a_path_filter_before_a_decider_is_named(event: str, key: str) -> None:
    said = edited(f"  {event}:\n", f"  {event}:\n    {key}: [src/**]\n")
    words = "filter on a required check"
    assert said == [f"{words}: {PATH}: {event} {key}; ['src/**']"]


def test_a_path_filter_where_nothing_decides_is_not_named() -> None:
    assert named({}, {PATH: "on: {pull_request: {paths: [a]}}\njobs: {}\n"}) == []


def test_a_filter_that_keeps_main_is_not_named() -> None:
    assert edited("  pull_request:\n", "  pull_request:\n    branches: [main]\n") == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("run: make load", "run: make help", "load: make load"),
        ("run: make load", "run: make load\n        if: false", "load: make load"),
        ("    steps:\n      - run: make load\n", "    steps: []\n", "load: make load"),
        ("  load:\n", "  load:\n    if: false\n", "load: the job"),
    ],
)
def test_a_command_that_is_no_longer_run_is_named(old: str, new: str, said: str) -> None:
    assert edited(old, new) == [f"no longer done: {PATH}: {said}"]


def test_an_output_that_says_something_else_is_named() -> None:
    stated = "  lint:\n    outputs: {code: a}\n"
    before = WORKFLOW.replace("  lint:\n", stated)
    after = before.replace("code: a", "code: 'false'")
    (said,) = named({PATH: before}, {PATH: after})
    assert said == f"no longer done: {PATH}: lint: outputs: code: a"


def test_another_command_beside_is_not_named() -> None:
    assert edited("      - run: make load\n", "      - run: make x\n      - run: make load\n") == []


def test_a_workflow_under_another_name_is_named() -> None:
    after = {PATH: f"name: other\n{WORKFLOW}"}
    (said,) = named({PATH: f"name: pull-request\n{WORKFLOW}"}, after)
    assert said == f"workflow under another name: {PATH} pull-request -> other"


def test_a_document_of_aliases_without_end_is_no_yaml() -> None:
    rows = ["a0: &a0 [x]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 40)]
    assert jobs.parsed("\n".join(rows)) is None


def test_a_renamed_workflow_is_not_named() -> None:
    assert named({OTHER: WORKFLOW}, {PATH: WORKFLOW}) == []


def test_a_workflow_that_another_replaces_is_named_as_far_as_it_asks_less() -> None:
    before = WORKFLOW.replace("  merge_group:\n", "").replace("[lint,", "[demo, lint,")
    before += "  demo:\n    steps: []\n"
    assert named({OTHER: before}, {PATH: WORKFLOW}) == [f"job removed: {OTHER}: demo"]


def test_a_workflow_that_only_one_of_other_events_replaces_is_named() -> None:
    after = WORKFLOW.replace("  merge_group:\n", "")
    assert named({OTHER: WORKFLOW}, {PATH: after}) == [f"workflow removed: {OTHER}"]


@pytest.mark.parametrize("path", [None, ".github/old/test.yml", ".github/workflows/test.yml.off"])
def test_a_workflow_that_goes_is_named(path: str | None) -> None:
    after = {path: WORKFLOW} if path else {}
    assert named({OTHER: WORKFLOW}, after) == [f"workflow removed: {OTHER}"]


def test_a_workflow_that_guards_nothing_may_go() -> None:
    assert named({OTHER: "on: schedule\njobs: {a: {steps: []}}\n"}, {}) == []


@pytest.mark.parametrize("text", ["jobs: 5", "jobs: {a: 5, b: {needs: 5, steps: 5}}", "on: 5", "5"])
def test_what_is_no_workflow_breaks_nothing(text: str) -> None:
    named({PATH: text}, {PATH: WORKFLOW})
    named({PATH: WORKFLOW}, {PATH: text})
