"""One comment on a pull request: a finished run's evidence, rendered by main's code."""

import logging
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from preflight import evidence
from preflight.evidence import Part, worst
from preflight.files import replacing
from preflight.gates import LINT, REQUIRED
from preflight.layout import REPORTS
from preflight.pull_request import artifact, cml, origin, policy
from preflight.pull_request.commands import made_safe
from preflight.pull_request.github import GitHub, variable
from preflight.report import markdown

log = logging.getLogger("preflight")


def comment(root: Path, environ: Mapping[str, str]) -> None:
    """Post the report of the run RUN_ID on its pull request, with the code of `root`.

    Also reads GITHUB_TOKEN and GITHUB_REPOSITORY. Writes reports/report.md. Raises Problem, and
    posts nothing, where an artifact is no plain evidence or the run is not its head's newest.
    """
    github = GitHub.of(environ)
    run = int(variable(environ, "RUN_ID", "[1-9][0-9]{0,18}", "the number of a run"))
    source = origin.resolve(github, run)
    log.info(
        "run %d, attempt %d: pull request #%d at %s",
        *(source.run, source.attempt, source.number, source.head[:12]),
    )
    found = artifact.parts(github, run, source.head)
    parts = judged(root, github, source.head, found)
    path = root / REPORTS / "report.md"
    with replacing(path) as partial:
        partial.write_text(markdown.render(parts, source.head), encoding="utf-8")
    log.info("rendered %d parts, %d of them from the run", len(parts), len(found))
    log.info("verdict: %s", worst(part.status for part in parts))
    cml.require_own(github, source.number)
    origin.confirm(github, source)
    cml.post(github, path, source.number, source.head, environ)
    log.info("comment -> pull request #%d", source.number)


def judged(root: Path, github: GitHub, head: str, found: dict[str, Part]) -> tuple[Part, ...]:
    """A run's parts, what it lacks as no-data, and main's own policy in place of the run's."""
    own = policy.judge(root, github, head, found.get("policy"))
    required = ("policy", *LINT) if own.docs_only else REQUIRED
    safe = {gate: made_safe(part) for gate, part in found.items()}
    with TemporaryDirectory() as folder:
        for part in (safe | {"policy": own.part}).values():
            evidence.write(Path(folder), part)
        return evidence.collect(Path(folder), head, required)
