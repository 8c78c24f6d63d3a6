"""The demo: from raw rows to a served answer, in a scratch clone."""

import logging
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import yaml

from preflight import bento, lineage, metrics, params, reference, registry, workspace
from preflight.errors import Problem
from preflight.files import read_json, replacing
from preflight.gates import limits
from preflight.journal import Journal, near
from preflight.layout import METRICS, PACKAGED, STATE
from preflight.predictor import Predictor
from preflight.rehearsal import rehearsed
from preflight.rehearsal.plan import Release
from preflight.rehearsal.record import PLACE as PICTURES
from preflight.rehearsal.rehearsed import Wanted
from preflight.rehearsal.timeline import Timeline
from preflight.workspace import run

ROWS = 200
ROLLOUTS = (
    ("roll out a good candidate", None, "promoted"),
    ("roll out a worse one", "worse-model", "aborted"),
)
MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])\Z")
log = logging.getLogger("preflight")


def demo(root: Path) -> None:
    """Run the whole way in a clone of HEAD, and end with a table of what happened.

    TLC_DIR (a folder of TLC months) and MONTHS (as 2021-01..2021-03) choose real data.
    """
    scratch, journal = root / STATE / "demo", Journal("demo")
    with journal.step("clone") as say, _overlay(root) as overlay:
        if run(root, "git", "status", "--porcelain").stdout:
            log.warning("demo: uncommitted changes are not part of it; it clones HEAD")
        workspace.clone(root, scratch, overlay)
        say(f"{lineage.head(root)[:12]} -> {scratch.relative_to(root)}")
    _pipeline(scratch, journal)
    _remote(scratch, journal)
    version, folder = _release(scratch, journal)
    _serve(root, scratch, folder, journal)
    _roll_out(root, scratch, folder, journal)
    report = _report(scratch, journal, version)
    _finish(root, scratch, folder, journal, report)


@contextmanager
def _overlay(root: Path) -> Iterator[Path | None]:
    """A parameter overlay for real months, when the environment asks for it."""
    folder, months = os.environ.get("TLC_DIR"), os.environ.get("MONTHS")
    if not folder and not months:
        yield None
        return
    data: dict[str, Any] = {}
    if folder:
        source = (root / Path(folder).expanduser()).resolve()
        if not source.is_dir():
            raise Problem("TLC_DIR", str(source), "a folder of TLC months", "Mend the variable.")
        data["source"] = str(source)
    if months:
        data["months"] = months_between(months)
    with TemporaryDirectory() as place:
        overlay = Path(place) / "demo.yaml"
        overlay.write_text(yaml.safe_dump({"data": data}), encoding="utf-8")
        yield overlay


def months_between(text: str) -> list[str]:
    """`2021-01..2021-03`, or `2021-01,2021-03`, to a list of months. Raises Problem."""
    parts = [part.strip() for part in text.split(".." if ".." in text else ",")]
    found = parts
    if ".." in text and len(parts) == 2 and all(map(MONTH.match, parts)):
        first, last = (np.datetime64(part, "M") for part in parts)
        found = [str(month) for month in np.arange(first, last + 1)]
    elif ".." in text:
        found = []
    if len(found) < 2 or not all(map(MONTH.match, found)):
        expected = "two months or more, as 2021-01..2021-03 or 2021-01,2021-03"
        raise Problem("MONTHS", repr(text), expected, "Mend the variable.")
    return found


def _pipeline(scratch: Path, journal: Journal) -> None:
    """dvc repro, with a line in the journal for each stage."""
    command = ("dvc", "repro", "--force")
    with subprocess.Popen(
        command,
        cwd=scratch,
        env=workspace.environment(scratch),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        lines: list[str] = []
        for stage, output in groupby(process.stdout or (), _stage_in_turn()):
            with journal.step(stage) as say:
                for line in output:
                    lines.append(line)
                    if ": " in line or "->" in line:
                        say(line.strip())
    if process.returncode:
        raise workspace.failed(command, "".join(lines[-15:]))


def _stage_in_turn() -> Callable[[str], str]:
    """Tells, line by line of DVC's output, which stage is speaking."""
    current = "pipeline"

    def stage(line: str) -> str:
        nonlocal current
        if line.startswith("Running stage"):
            current = "stage " + line.split("'")[1]
        return current

    return stage


def _remote(scratch: Path, journal: Journal) -> None:
    with journal.step("commit") as say:
        changed = workspace.commit(scratch, "Record the pipeline's run in dvc.lock")
        say("dvc.lock as this machine has it" if changed else "dvc.lock was reproduced exactly")
    with journal.step("push") as say:
        say(_last(run(scratch, "dvc", "push").stdout))
    with journal.step("pull") as say:
        shutil.rmtree(scratch / ".dvc" / "cache")
        run(scratch, "git", "clean", "-dfqX", "data", "models")
        say(_last(run(scratch, "dvc", "pull", "--force").stdout))
        lineage.require_current(scratch)


def _last(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1]


def _release(scratch: Path, journal: Journal) -> tuple[str, Path]:
    with journal.step("register") as say:
        version = registry.register(scratch)
        say(f"{params.load(scratch / 'params.yaml').registry.name} version {version}")
    with journal.step("bento") as say:
        folder = bento.build(scratch)
        say(f"{folder.parent.name}:{folder.name}")
    return version, folder


def _serve(root: Path, scratch: Path, folder: Path, journal: Journal) -> None:
    """Ask the served Bento and the model in this process; every bit must be equal."""
    model = Predictor(scratch / PACKAGED)
    columns = reference.columns(model.contract, ROWS, seed=2)
    expected = model.given(columns).tolist()
    with journal.step("serve") as say, bento.served(root, folder, scratch) as server:
        rows = reference.instances(columns)
        single = bento.ask(server, "/v1/predict", rows[0])
        asked = {column.name: column.example for column in model.contract.known}
        shown = bento.ask(server, "/v1/predict", asked)
        batch = bento.ask(server, "/v1/predict/batch", {"instances": rows})["predictions"]
        if [answer["value"] for answer in batch] != expected or single["value"] != expected[0]:
            raise Problem(
                "the service", "other values than in this process", "equal ones", "Report this."
            )
        say(
            f"{ROWS} answers equal this process's to the last bit; "
            f"the contract's example takes {shown['value']:.1f} {shown['unit']}s"
        )


def _roll_out(root: Path, scratch: Path, folder: Path, journal: Journal) -> None:
    """Two rollouts as staging declares them, beside the same release: one good, one worse."""
    stable, candidate = (Release(name, root, folder) for name in ("champion", "candidate"))
    for name, fault, expected in ROLLOUTS:
        with journal.step(name) as say:
            wanted = Wanted(fault=fault)
            found, path = rehearsed.between(scratch, stable, candidate, wanted, Timeline())
            if found.state != expected:
                said = f"{found.state}: {found.reason}"
                raise Problem(name, said, expected, f"See {path}.")
            say(f"{found.state}: {found.reason}")


def _report(scratch: Path, journal: Journal, version: str) -> Path:
    """reports/report.md: the evaluation against its limits, and the journal."""
    chosen = params.load(scratch / "params.yaml")
    measured = read_json(scratch / METRICS)
    lines = metrics.judged(measured["test"], limits.load(scratch / "params.yaml").quality)
    text = [
        f"# {chosen.registry.name} version {version}",
        "",
        f"Data: {chosen.data.source}, {', '.join(chosen.data.months)}; "
        + ("every row." if chosen.data.sample == 1 else f"{chosen.data.sample:.0%} of the rows."),
        "",
        "| metric | measured | limit | |",
        "|---|---|---|---|",
        *(
            f"| {line.name} | {line.measured:.4g} | {line.limit} | {line.status} |"
            for line in lines
        ),
        "",
        "| month | rows | RMSE | baseline | coverage | width |",
        "|---|---|---|---|---|---|",
        *(
            f"| {month} | {found['rows']} | {found['rmse']:.3f} | {found['baseline_rmse']:.3f} "
            f"| {found['coverage']:.3f} | {found['width']:.2f} |"
            for month, found in measured["months"].items()
        ),
        "",
        "| step | what | seconds |",
        "|---|---|---|",
        *(f"| {name} | {said} | {seconds:.1f} |" for name, said, seconds in journal.steps),
        "",
    ]
    path = scratch / "reports" / "report.md"
    with replacing(path) as partial:
        partial.write_text("\n".join(text), encoding="utf-8")
    return path


def _finish(root: Path, scratch: Path, folder: Path, journal: Journal, report: Path) -> None:
    journal.show()
    serve = [Path(part) for part in bento.command(root, folder, 3000)[:3]]
    shown = " ".join(str(near(part, root)) for part in serve)
    log.info("")
    log.info("report     %s", near(report, root))
    for picture in sorted((scratch / PICTURES).glob("*.svg")):
        log.info("rollout    %s", near(picture, root))
    log.info(
        "registry   .venv/bin/mlflow ui --backend-store-uri sqlite:///%s",
        near(scratch / STATE / "mlflow" / "mlflow.db", root),
    )
    log.info("serve      %s --port 3000", shown)
    log.info("the demo is green")
