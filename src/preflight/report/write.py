"""Write the report of a commit's evidence, after what it lacks has run."""

import logging
import subprocess
from pathlib import Path

from preflight import champion, evidence, lineage
from preflight.evidence import Part, Status, worst
from preflight.files import replacing
from preflight.gates import CODE_SUITES, LINT, REQUIRED
from preflight.layout import COVERAGE, EVIDENCE, REPORTS
from preflight.report import html, markdown
from preflight.workspace import environment

log = logging.getLogger("preflight")


def write(root: Path) -> Status:
    """reports/report.md and reports/report.html of HEAD's evidence; returns the verdict."""
    commit = lineage.head(root)
    parts = evidence.collect(root / EVIDENCE, commit, REQUIRED)
    for name, render in (("report.md", markdown.render), ("report.html", html.render)):
        with replacing(root / REPORTS / name) as partial:
            partial.write_text(render(parts, commit), encoding="utf-8")
        log.info("report -> %s", REPORTS / name)
    status = worst(part.status for part in parts)
    log.info("verdict: %s", {"pass": "ready", "fail": "not ready"}.get(status, "cannot tell"))
    return status


def run_missing(root: Path) -> None:
    """Run the tests and the gates that have left no evidence for HEAD. Raises Problem."""
    from preflight.gates.trusted import gates

    lineage.require_committed(root)
    commit = lineage.head(root)
    parts = evidence.collect(root / EVIDENCE, commit, REQUIRED)
    lacking = [part.gate for part in parts if part.status == "no-data"]
    if set(lacking) & set(CODE_SUITES):
        log.info("report: the tests have left no evidence for %s; running make test", commit[:12])
        # What fails is evidence; the report says it.
        subprocess.run(["make", "test"], cwd=root, env=environment(root), check=False)
    if set(lacking) & set(LINT):
        subprocess.run(["make", "lint"], cwd=root, env=environment(root), check=False)
    if wanted := [name for name in lacking if name in set(REQUIRED) - {*CODE_SUITES, *LINT}]:
        gates(root, wanted)


def coverage(root: Path) -> None:
    """Evidence of the tests' coverage, if the tree is the one of its commit."""
    from preflight.tested import coverage

    lineage.require_committed(root)
    commit = lineage.head(root)
    base, _ = champion.base_of(root, commit)
    findings = coverage(root, root / COVERAGE, base, commit)
    part = Part.of(findings, "coverage", commit)
    evidence.write(root / EVIDENCE, part)
    for line in part.evidence:
        log.info("coverage: %s: %s", line.check, line.found)
