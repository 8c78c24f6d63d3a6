"""Lint is evidence: every hook of pre-commit over all files, and what became of each."""

import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import click
import yaml

from preflight import evidence, lineage
from preflight.errors import Problem
from preflight.evidence import Evidence, Findings, Part, Status, Table, told, worst
from preflight.layout import EVIDENCE
from preflight.workspace import environment, run

CONFIG = ".pre-commit-config.yaml"
COMMAND = ("pre-commit", "run", "--all-files", "--color=never")
RESULT = re.compile(r"(.+?)\.{3,}(?:\(no files to check\))?(Passed|Failed|Skipped)")
# A hook that no file met is no data too: an empty sample never passes.
STATUS: dict[str, Status] = {"Passed": "pass", "Failed": "fail", "Skipped": "no-data"}
PLACE = re.compile(r"(.+?)(:\d+)?(?::\d+)?:?")
MODIFIED = "- files were modified by this hook"
MOST_PLACES = 5


@dataclass(frozen=True)
class Result:
    """What pre-commit said of one hook: its word, and the lines below it."""

    status: Status
    lines: tuple[str, ...]


def lint(root: Path) -> Status:
    """Run every hook over a checkout's files, show what they say, and keep it as evidence.

    Only a committed tree leaves evidence; hooks that changed files leave it as well, as they
    failed on what was committed. Raises Problem where pre-commit or its settings are missing.
    """
    hooks = hooks_of(root)
    commit, clean = lineage.head(root), not _changes(root)
    if clean:
        (root / EVIDENCE / "lint.json").unlink(missing_ok=True)
    start = time.monotonic()
    code, output = _shown(root)
    tracked = frozenset(run(root, "git", "ls-files", "-z").stdout.split("\0"))
    findings = judged(hooks, code, output, tracked)
    part = Part.of(findings, "lint", commit, time.monotonic() - start)
    moved = _changes(root) or lineage.head(root) != commit
    if clean and (not moved or part.status == "fail"):
        evidence.write(root / EVIDENCE, part)
    else:
        click.echo("lint: uncommitted changes, so no evidence is kept", err=True)
    return part.status


def hooks_of(root: Path) -> dict[str, str]:
    """Names of the checkout's hooks by id; raises Problem where there are none."""
    where, remedy = str(root / CONFIG), "See https://pre-commit.com/#plugins."
    try:
        plain = yaml.safe_load((root / CONFIG).read_text(encoding="utf-8"))
        found = {
            hook["id"]: str(hook.get("name", hook["id"]))
            for repo in plain["repos"]
            for hook in repo["hooks"]
        }
    except (OSError, ValueError, yaml.YAMLError, LookupError, TypeError, AttributeError) as error:
        found_there = "no readable file" if isinstance(error, OSError) else "no list of hooks"
        raise Problem(where, found_there, "pre-commit's settings", remedy) from None
    if not found:
        raise Problem(where, "no hook", "at least one", remedy)
    return found


def judged(hooks: dict[str, str], code: int, output: str, tracked: frozenset[str]) -> Findings:
    """One check a hook, from pre-commit's exit status and output.

    What was found is told by counts and by places in `tracked` files: a hook's own words may
    hold the very secret that it found.
    """
    results = _results(hooks, output)
    absent = [name for name in hooks if _is_absent(name, results.get(name, []))]
    lines = [
        _evidence(name, said, results.get(name, []), tracked)
        for name, said in hooks.items()
        if name not in absent
    ]
    if code and worst(line.status for line in lines) != "fail":
        claim = "pre-commit ended as its hooks did."
        lines.append(told("lint", "pre-commit", claim, False, f"exit code {code}, no hook failed"))
    rows = tuple((name[:120], "its tool is not installed; CI requires it") for name in absent)
    table = Table(title="Hooks not run here", columns=("hook", "why"), rows=rows)
    return Findings(evidence=tuple(lines), tables=(table,) if rows else ())


def _is_absent(hook: str, results: list[Result]) -> bool:
    """Whether a hook passed because its tool, of the same name, is not there: it shows nothing."""
    words = f"{hook} is not installed: "
    passed = bool(results) and all(each.status == "pass" for each in results)
    return passed and any(line.startswith(words) for each in results for line in each.lines)


def _shown(root: Path) -> tuple[int, str]:
    """pre-commit's exit status and output, shown while it runs."""
    variables = environment(root)
    if not shutil.which(COMMAND[0], path=variables["PATH"]):
        raise Problem("lint", "no pre-commit", "the locked environment", "Run `make setup`.")
    chunks = []
    with subprocess.Popen(
        COMMAND, cwd=root, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        while process.stdout and (chunk := os.read(process.stdout.fileno(), 65536)):
            click.echo(chunk, nl=False)
            chunks.append(chunk)
    return process.returncode, b"".join(chunks).decode(errors="replace")


def _results(hooks: dict[str, str], output: str) -> dict[str, list[Result]]:
    """What was said of each hook, by id; a hook that imitates a result adds one, and hides none."""
    ids = {name: each for each, name in hooks.items()}
    found: dict[str, list[Result]] = {}
    blocks: list[tuple[str, Status, list[str]]] = []
    for line in output.splitlines():
        told_of = RESULT.fullmatch(line)
        if told_of and told_of[1] in ids:
            blocks.append((ids[told_of[1]], STATUS[told_of[2]], []))
        elif blocks:
            blocks[-1][2].append(line)
    for each, status, lines in blocks:
        found.setdefault(each, []).append(Result(status, tuple(lines)))
    return found


def _evidence(hook: str, name: str, results: list[Result], tracked: frozenset[str]) -> Evidence:
    status = worst(each.status for each in results)
    lines = [line for each in results for line in each.lines]
    words = {
        "pass": "nothing",
        "fail": _found(lines, tracked),
        "no-data": "skipped" if results else "pre-commit told no result",
    }
    holds = None if status == "no-data" else status == "pass"
    return told(
        "lint", _check(hook), f"The hook finds nothing: {name}."[:600], holds, words[status]
    )


def _check(hook: str) -> str:
    plain = re.sub(r"[^a-z0-9]+", "-", hook.lower()).strip("-")
    return (plain if re.match("[a-z]", plain) else f"hook-{plain}")[:41]


def _found(lines: list[str], tracked: frozenset[str]) -> str:
    said = ["files were changed by the hook"] if MODIFIED in lines else []
    if places := _places(lines, tracked):
        rest = len(places) - MOST_PLACES
        first = ", ".join(each[-100:] for each in places[:MOST_PLACES])
        said.append(first + (f" and {rest} more" if rest > 0 else ""))
    return "; ".join(said) or "see the output of `make lint`"


def _places(lines: list[str], tracked: frozenset[str]) -> list[str]:
    """path or path:line, once each, of tracked files that a hook's words name."""
    found: dict[str, None] = {}
    for word in (word for line in lines for word in line.split()):
        place = PLACE.fullmatch(word.strip("'\"`,;()[]").partition("::")[0])
        if place and place[1].removeprefix("./") in tracked:
            found[place[1].removeprefix("./") + (place[2] or "")] = None
    return list(found)


def _changes(root: Path) -> bool:
    return bool(run(root, "git", "status", "--porcelain").stdout)
