"""The gate `policy`, judged anew: by main's code, from Git's objects, running nothing of them."""

import base64
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from preflight import champion, evidence, scope
from preflight.errors import Problem
from preflight.evidence import Evidence, Findings, Notice, Part, told
from preflight.gates import policy
from preflight.pull_request.github import GitHub, shown
from preflight.workspace import run

REF = "refs/preflight/head"
SECONDS = 180
CONTRACT = "contract"
NOTICE = "policy was judged here by main's code; all other parts are the run's own word"


@dataclass(frozen=True)
class Judged:
    """The part of the gate `policy`, and whether the change is prose alone."""

    part: Part
    docs_only: bool


def judge(root: Path, github: GitHub, head: str, word: Part | None) -> Judged:
    """Main's verdict on a commit of a pull request; `word` is the change's own policy part.

    Without the commit's objects the part is no-data, and nothing counts as prose.
    """
    try:
        fetch(root, github, head)
        base, _ = champion.base_of(root, head)
        if base is None:
            raise Problem(head[:12], "no earlier commit", "a merge base with main", "Rebase it.")
        findings = policy.judge(root, base, head, None, datetime.now(UTC).date())
        prose = _prose(root, base, head)
        return Judged(_part(findings, head, _contract(word, prose)), prose)
    except Problem as problem:
        why = f"main could not judge it: {problem.where}: {shown(problem.found, 300)}"
    except Exception as error:  # a hostile source may break any parser
        why = f"main could not judge it: {type(error).__name__}"
    return Judged(evidence.absent(policy.GATE, head, why), docs_only=False)


def fetch(root: Path, github: GitHub, commit: str) -> None:
    """Bring a commit's objects from origin, without a checkout; raises Problem."""
    if run(root, "git", "cat-file", "-e", f"{commit}^{{commit}}", check=False).returncode == 0:
        return
    command = ("git", "fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "origin")
    try:
        done = subprocess.run(
            (*command, f"+{commit}:{REF}"),
            cwd=root,
            env=_variables(github, os.environ),
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _missing(commit, f"a fetch of more than {SECONDS} s") from None
    if done.returncode:
        raise _missing(commit, f"a fetch that ended with status {done.returncode}")


def _variables(github: GitHub, environ: Mapping[str, str]) -> dict[str, str]:
    """Git's: the token for the server alone, as a private repository asks for it."""
    basic = base64.b64encode(f"x-access-token:{github.token}".encode()).decode()
    kept = {name: environ[name] for name in ("PATH", "HOME") if name in environ}
    return kept | {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"http.{github.server}/.extraheader",
        "GIT_CONFIG_VALUE_0": f"AUTHORIZATION: basic {basic}",
    }


def _part(findings: Findings, head: str, contract: Evidence) -> Part:
    lines = [line for line in findings.evidence if line.check != CONTRACT]
    notice = Notice(kind="guards", text=NOTICE)
    update = {
        "evidence": (*lines, contract),
        "notices": (*findings.notices, notice),
    }
    return Part.of(findings.model_copy(update=update), policy.GATE, head)


def _contract(word: Part | None, prose: bool) -> Evidence:
    """Two contracts are compared by running the change's code, which is not done here."""
    claim = policy.CLAIMS[CONTRACT]
    if prose:
        return told(policy.GATE, CONTRACT, claim, True, "only prose changed")
    said = [line for line in word.evidence if line.check == CONTRACT] if word else []
    if len(said) != 1:
        return told(policy.GATE, CONTRACT, claim, None, "the change's run left no word of it")
    holds = {"pass": True, "fail": False, "no-data": None}[said[0].status]
    return told(policy.GATE, CONTRACT, claim, holds, f"the change's own word: {said[0].found}")


def _prose(root: Path, base: str, head: str) -> bool:
    try:
        return scope.docs_only(scope.changed(root, base, head))
    except scope.Unclear:
        return False


def _missing(commit: str, found: str) -> Problem:
    return Problem(f"the objects of {commit[:12]}", found, "its objects", "Run it again.")
