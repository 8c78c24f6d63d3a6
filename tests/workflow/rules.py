"""What every workflow keeps to: each rule takes a parsed file and names what breaks it."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from workflow.runner import needs

Parsed = Mapping[Any, Any]
PIN = re.compile(r"uses: [\w./-]+@[0-9a-f]{40} # v\d\S*$")
WRITES = {  # the only permissions to write, by file and job
    ("report.yml", "comment"): {"pull-requests"},
    ("security.yml", "codeql"): {"security-events"},
    ("drill.yml", "tell"): {"issues"},
    ("commits.yml", "tell"): {"issues"},
    ("release.yml", "build"): {"packages", "id-token", "attestations", "artifact-metadata"},
    ("verdict.yml", "resume"): {"actions"},
    ("release.yml", "stage"): {"id-token"},  # to sign in at the registry
    ("verdict.yml", "promote"): {"id-token"},
    ("promote.yml", "propose"): {"id-token"},
    ("rollback.yml", "rollback"): {"id-token"},
}
GUARD = "vars.RELEASES == github.repository"
NOTHING = "true"  # of a workflow whose end alone is waited for
EVIDENCE = "actions/upload-artifact"
CHECKED = {"make lint", "make test", "make gates"}  # what leaves a check out without its tool
HEAD = "${{ github.event.pull_request.head.sha || github.sha }}"


def steps(parsed: Parsed) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The steps of a workflow by job, or of a composite action."""
    jobs = parsed.get("jobs") or {"runs": parsed.get("runs", {})}
    for name, job in jobs.items():
        yield from ((name, step) for step in job.get("steps", []))


def actions(parsed: Parsed, name: str) -> list[tuple[str, Mapping[str, Any]]]:
    """The steps that use an action, whatever its version."""
    return [each for each in steps(parsed) if each[1].get("uses", "").partition("@")[0] == name]


def commands(parsed: Parsed, known: Mapping[str, set[str]]) -> list[str]:
    """Each `run:` is one word of make or preflight that exists; `known` has both by name."""
    found = [step["run"] for _, step in steps(parsed) if "run" in step]
    return [
        run
        for run in found
        if run != NOTHING
        and (len(words := run.split(" ")) != 2 or words[1] not in known.get(words[0], set()))
    ]


def decided(parsed: Parsed) -> list[str]:
    """The job `decide` always runs, needs every other job, and asks what became of each."""
    jobs = parsed["jobs"]
    decide = jobs.get("decide", {})
    found = [f"{name}: not needed" for name in sorted(set(jobs) - {"decide", *needs(decide)})]
    if decide.get("if") != "always()":
        found.append("decide: does not always run")
    asked = [step for name, step in actions(parsed, "re-actors/alls-green") if name == "decide"]
    if [step["with"].get("jobs") for step in asked] != ["${{ toJSON(needs) }}"]:
        found.append("decide: does not ask for every job")
    if any("if" in step or "allowed-failures" in step["with"] for step in asked):
        found.append("decide: may let a failure pass")
    return found


def going_on(value: Any) -> list[str]:
    """Nothing goes on after an error."""
    if isinstance(value, Mapping):
        own = [f"{key}: {each}" for key, each in value.items() if key == "continue-on-error"]
        return [*own, *(found for each in value.values() for found in going_on(each))]
    return [found for each in value for found in going_on(each)] if isinstance(value, list) else []


def unpinned(text: str) -> list[str]:
    """Each published action is pinned by commit, with its version beside."""
    lines = [line.strip() for line in text.splitlines() if re.search(r"\buses:", line)]
    return [line for line in lines if "uses: ./" not in line and not PIN.search(line)]


def granted(parsed: Parsed, file: str) -> list[str]:
    """Nothing is granted on top; each job says what it needs, and what it may write is listed."""
    found = [] if parsed.get("permissions") == {} else ["top: permissions are not {}"]
    for name, job in parsed["jobs"].items():
        own = job.get("permissions")
        if not isinstance(own, dict):
            found.append(f"{name}: permissions are not listed")
            continue
        writes = {key for key, grant in own.items() if grant not in ("read", "none")}
        found += [f"{name}: {key}" for key in sorted(writes - WRITES.get((file, name), set()))]
    return found


def triggers(parsed: Parsed) -> dict[str, Any]:
    """What starts a workflow; YAML reads its key `on` as true."""
    return dict(parsed[True])


def filtered(parsed: Parsed) -> list[str]:
    """No filter keeps the required check from starting; main's pushes alone are chosen."""
    return [
        f"{event}: {key}"
        for event, filters in triggers(parsed).items()
        for key in filters or {}
        if (event, key) != ("push", "branches")
    ]


def toolless(parsed: Parsed) -> list[str]:
    """Whoever runs checks that need tools builds these first, and requires them."""
    found, built = [], set()
    for name, step in steps(parsed):
        if step.get("run") == "make tools":
            built.add(name)
        required = step.get("env", {}).get("PREFLIGHT_REQUIRE_TOOLS") == 1
        if step.get("run") in CHECKED and (name not in built or not required):
            found.append(f"{name}: may leave out what a tool checks")
    return found


def left_behind(parsed: Parsed) -> list[str]:
    """No checkout leaves its credentials for what runs after it."""
    return [
        name
        for name, step in actions(parsed, "actions/checkout")
        if step.get("with", {}).get("persist-credentials") is not False
    ]


def elsewhere(parsed: Parsed) -> list[str]:
    """Each checkout takes the change's own commit, with its whole history."""
    return [
        name
        for name, step in actions(parsed, "actions/checkout")
        if (step["with"].get("ref"), step["with"].get("fetch-depth")) != (HEAD, 0)
    ]


def lost(parsed: Parsed) -> list[str]:
    """Each job that runs a command but `scope` and `decide` uploads evidence, whatever happened."""
    found = []
    uploads = dict(actions(parsed, EVIDENCE))
    for name in parsed["jobs"]:
        if name in ("scope", "decide"):
            continue
        step = uploads.get(name, {})
        said = step.get("with", {})
        if (step.get("if"), said.get("name")) != ("always()", f"evidence-{name}"):
            found.append(f"{name}: may lose its evidence")
        elif said.get("path") != "reports/evidence" or said.get("if-no-files-found") != "ignore":
            found.append(f"{name}: uploads something else, or fails where there is nothing")
    return found


def skippable(parsed: Parsed) -> list[str]:
    """Only the scope may let a job be skipped."""
    allowed = (None, "always()", "needs.scope.outputs.code == 'true'")
    return [
        f"{name}: {job['if']}"
        for name, job in parsed["jobs"].items()
        if job.get("if") not in allowed
    ]


def trusting(parsed: Parsed) -> list[str]:
    """A workflow that may write takes nothing of the change: no ref, no artifact, no cache."""
    known = ("workflow_run", "workflow_dispatch")
    found = [f"starts on {event}" for event in triggers(parsed) if event not in known]
    for name, step in steps(parsed):
        uses, given = step.get("uses", "").partition("@")[0], step.get("with", {})
        if uses == "actions/checkout" and (
            given.get("ref", "main") != "main" or "repository" in given
        ):
            found.append(f"{name}: checks out {given.get('ref', given.get('repository'))}")
        if uses.startswith("actions/download-artifact"):
            found.append(f"{name}: {uses}")
    return [*found, *cached(parsed)]


def cached(parsed: Parsed) -> list[str]:
    """Nothing is restored that a pull request could have written."""
    found = []
    for name, step in steps(parsed):
        uses, given = step.get("uses", "").partition("@")[0], step.get("with", {})
        if uses == "./.github/actions/setup" and given.get("cache") is not False:
            found.append(f"{name}: restores a cache")
        if uses.startswith("actions/cache"):
            found.append(f"{name}: {uses}")
    return found


def unguarded(parsed: Parsed) -> list[str]:
    """Whatever writes runs in the repository alone that says so of itself: no copy, no template."""
    return [
        name
        for name, job in parsed["jobs"].items()
        if not needs(job) and not str(job.get("if", "")).startswith(GUARD)
    ]


def keyless(parsed: Parsed) -> list[str]:
    """Secrets are of environments: no job without one names any, and nothing for all jobs does."""
    shared = {key: each for key, each in parsed.items() if key != "jobs"}
    bare = [name for name, job in parsed["jobs"].items() if "environment" not in job]
    found = [name for name in bare if secrets(json.dumps(parsed["jobs"][name], default=str))]
    return [*found, *(["all jobs"] if secrets(json.dumps(str(shared))) else [])]


def starts(parsed: Parsed, *paths: str) -> bool:
    """Whether a push to main of these paths starts a workflow that chooses by paths."""
    known = [_glob(each) for each in triggers(parsed)["push"]["paths"]]
    return any(each.fullmatch(path) for path in paths for each in known)


def _glob(pattern: str) -> re.Pattern[str]:
    """A path filter: `**` is anything, `*` anything within a folder."""
    parts = (re.escape(each).replace(r"\*", "[^/]*") for each in pattern.split("**"))
    return re.compile(".*".join(parts))


def secrets(text: str) -> list[str]:
    """No secret where a change's code runs."""
    return re.findall(r"secrets\s*[.\[]\s*\S+|secrets: inherit|github\.token", text)


def injected(parsed: Parsed) -> list[str]:
    """No text of an event becomes a command."""
    return [step["run"] for _, step in steps(parsed) if "${{" in step.get("run", "")]
