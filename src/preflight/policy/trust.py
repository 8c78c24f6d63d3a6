"""What a workflow with rights trusts of a change, and which secrets a change's own run sees."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from preflight.policy.commits import Change
from preflight.policy.jobs import Places, Workflow, added, mapping
from preflight.policy.loosening import Loosening, loosening

PRIVILEGED = {"workflow_run", "pull_request_target", "issue_comment"}
UNTRUSTED = {"pull_request", "pull_request_target"}
HEAD = re.compile(r"github\.event\b.*head|github\.head_ref|merge_commit_sha|refs/pull/")
FETCHED = re.compile(r"\bgh\s+pr\s+checkout\b|\bgit\s+(?:checkout|switch|fetch|clone|pull)\b")
DOWNLOAD = re.compile(r"\bgh\s+run\s+download\b")
EXPRESSION = re.compile(r"\$\{\{.*?\}\}", re.DOTALL)
# GITHUB_TOKEN is the run's own token, which `permissions` bounds.
SECRET = re.compile(r"\bsecrets\s*(?:\.\s*(?!GITHUB_TOKEN\b)\w+|\[[^\]]*\]|(?=\)))")


def weakened(change: Change) -> Iterator[Loosening]:
    """Artifacts, code and secrets that the head trusts a change with and the base did not."""
    for words, places in (
        ("artifact trusted", _artifacts),
        ("code of a change trusted", _checkouts),
        ("secret used on pull requests", _secrets),
    ):
        for path, place, said in added(change, places):
            yield loosening(words, f"{path}: {place} {said}")


def _artifacts(workflow: Workflow) -> Places:
    found: Places = Counter()
    for place, uses, _, run in _privileged(workflow):
        if "download-artifact" in uses:
            found[place, uses.partition("@")[0]] += 1
        found.update((place, line) for line in run if DOWNLOAD.search(line))
    return found


def _checkouts(workflow: Workflow) -> Places:
    found: Places = Counter()
    for place, uses, given, run in _privileged(workflow):
        if "checkout" in uses.partition("@")[0]:
            named = [str(given.get(key, "")) for key in ("ref", "repository")]
            found.update((place, each) for each in named if HEAD.search(each))
        found.update((place, line) for line in run if _fetches(line))
    return found


def _fetches(line: str) -> bool:
    fetched = FETCHED.search(line)
    return bool(fetched and (fetched[0].startswith("gh") or HEAD.search(line)))


def _privileged(workflow: Workflow) -> Iterator[tuple[str, str, dict[str, Any], list[str]]]:
    """Place, action, its inputs and script of each step that runs with the base's rights."""
    if PRIVILEGED & workflow.triggers.keys():
        for place, _, step in workflow.steps():
            lines = [line.strip() for line in str(step.get("run", "")).splitlines()]
            yield place, str(step.get("uses", "")), mapping(step.get("with")), lines


def _secrets(workflow: Workflow) -> Places:
    found: Places = Counter()
    if UNTRUSTED & workflow.triggers.keys():
        for place, text in _texts(workflow.plain):
            spoken = text if place[-1:] == ("if",) else " ".join(EXPRESSION.findall(text))
            found.update((".".join(place[:2]), said[0]) for said in SECRET.finditer(spoken))
            if place[-1:] == ("secrets",) and text == "inherit":
                found[".".join(place[:2]), "secrets: inherit"] += 1
    return found


def _texts(value: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _texts(each, (*place, str(key)))
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each, place)
    elif isinstance(value, str):
        yield place, value
