"""The house: a small repository of this tree's files, and trials of one change each in a clone.

A trial runs only the stages that its change touches, as dvc.yaml states them, and then the same
gates as `make gates`, without DVC and without a report.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from preflight import bento, champion, evidence, lineage, params, workspace
from preflight.errors import Problem
from preflight.evidence import Findings, Part
from preflight.gates import LINT, pipeline, policy
from preflight.gates.limits import of_base
from preflight.gates.run import contracts_of, judged, opened
from preflight.layout import EVIDENCE
from preflight.unregistered import PLACE as SERVICES

ROOT = Path(__file__).resolve().parents[2]
GATES = "preflight.gates."
PROFILE = Path(__file__).with_name("profile.yaml")
# One process for several stages: the engines' imports cost more than the stages.
STAGES = """
import sys
from preflight.stages.__main__ import main
for words in sys.argv[1:]:
    if status := main(words.split()):
        sys.exit(status)
"""


def build(place: Path) -> Path:
    """The house: this tree under the small profile, its pipeline run, one commit."""
    place.mkdir(parents=True)
    listed = workspace.run(ROOT, "git", "ls-files", "--cached", "--others", "--exclude-standard")
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, place / name)
    merged = params.merged(ROOT / "params.yaml", PROFILE)
    (place / "params.yaml").write_text(yaml.safe_dump(merged, sort_keys=False), encoding="utf-8")
    (place / "dvc.lock").unlink(missing_ok=True)
    workspace.run(place, "git", "init", "--quiet", "--initial-branch=main")
    (place / ".git/info/exclude").write_text(".venv-serve\n", encoding="utf-8")
    workspace.run(place, "dvc", "repro", "--quiet")
    workspace.commit(place, "The house")
    # What trials share is made before they run side by side.
    champion.service_environment(ROOT, place)
    bento.build_unregistered(place, place / SERVICES)
    return place


@dataclass(frozen=True)
class Trial:
    """What came of one change: the parts of the gates that ran, and the seconds."""

    parts: dict[str, Part]

    @property
    def stopped(self) -> list[str]:
        """Gates that are not green."""
        return [gate for gate, part in self.parts.items() if part.status != "pass"]

    def words(self, gate: str) -> str:
        """What a gate's checks that are not green say."""
        part = self.parts.get(gate)
        lines = [line for line in part.evidence if line.status != "pass"] if part else []
        slices = (
            f" {each.name}" for line in lines for each in line.slices if each.status == "fail"
        )
        return " | ".join(f"{line.check}: {line.found}" for line in lines) + "".join(slices)


def clone(house: Path, place: Path) -> Path:
    """A clone of the house with its data and model; files are shared, so never write into one."""
    workspace.run(house, "git", "clone", "--quiet", "--shared", str(house), str(place))
    for name in ("data", "models"):
        shutil.copytree(house / name, place / name, copy_function=_link, dirs_exist_ok=True)
    (place / ".venv-serve").symlink_to(ROOT / ".venv-serve")
    (place / ".git/info/exclude").write_text(".venv-serve\n", encoding="utf-8")
    return place


def _link(source: str, target: str) -> None:
    if not Path(target).exists():
        Path(target).hardlink_to(source)


def rerun(root: Path, base: str) -> Problem | None:
    """Run the stages that the change since `base` touches; a stage's refusal is returned."""
    words = []
    for name, outs in _stages(root, base):
        words.append(name)
        for out in outs:  # as DVC does before it runs a stage
            _remove(root / out)
    if not words:
        return None
    done = workspace.run(root, sys.executable, "-c", STAGES, *words, check=False)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        last = (said or done.stderr.splitlines() or ["nothing"])[-1].removeprefix("error: ")
        return Problem("the pipeline", last, "success", "Mend what the stage names.")
    return None


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _stages(root: Path, base: str) -> Iterator[tuple[str, list[str]]]:
    """The stages whose files or parameters changed, and those after them: words and outputs."""
    changed = set(workspace.run(root, "git", "diff", "--name-only", base).stdout.split())
    then = params.plain(workspace.run(root, "git", "show", f"{base}:params.yaml").stdout, "base")
    now = params.read(root / "params.yaml")
    listed = yaml.safe_load((root / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    for name, stage in listed.items():
        body = stage.get("do", stage)
        moved = any(_at(then, key) != _at(now, key) for key in body["params"])
        new = "foreach" in stage and then["data"]["months"] != now["data"]["months"]
        if moved or new or changed & set(body["deps"]) or _fed(changed, body["deps"]):
            listed_outs = [*body.get("outs", []), *body.get("metrics", [])]
            outs = [out if isinstance(out, str) else next(iter(out)) for out in listed_outs]
            changed |= set(outs)
            months = now["data"]["months"] if "foreach" in stage else [""]
            for month in dict.fromkeys(months):
                yield f"{name} {month}".strip(), [out.replace("${item}", month) for out in outs]


def _fed(changed: set[str], deps: list[str]) -> bool:
    """Whether a dependency is an output that was made anew, or lies in such a folder."""
    plain = {each.replace("${item}", "") for each in changed}
    return any(
        dep.startswith(out.rstrip("/").removesuffix(".parquet")) or out.startswith(dep)
        for dep in deps
        for out in plain
        if out.startswith(("data/", "models/"))
    )


def _at(raw: Any, key: str) -> Any:
    for part in key.split("."):
        raw = raw.get(part, {}) if isinstance(raw, dict) else {}
    return raw


def judge(
    house: Path,
    root: Path,
    gates: tuple[str, ...],
    problem: Problem | None = None,
    base: str | None = None,
) -> dict[str, Part]:
    """The parts of some gates on a committed trial, against the house as champion.

    The merge base is the house's commit, unless told.
    """
    base, commit = base or lineage.head(house), lineage.head(root)
    found: dict[str, Findings] = {}
    if "policy" in gates:
        found["policy"] = judged("policy", lambda: _policy(house, root, base, commit))
    if problem is not None:
        found["pipeline"] = pipeline.failed(problem, champion=False)
    else:
        found |= _gates(house, root, gates, base, commit)
    return {gate: Part.of(findings, gate, commit) for gate, findings in found.items()}


def _policy(house: Path, root: Path, base: str, commit: str) -> Findings:
    contracts = contracts_of(root, base, commit)
    return policy.judge(root, base, commit, contracts, datetime.now(UTC).date())


def _gates(
    house: Path, root: Path, gates: tuple[str, ...], base: str, commit: str
) -> dict[str, Findings]:
    known, _ = of_base(params.read(house / "params.yaml"), params.read(root / "params.yaml"))
    rival = champion.Champion("merge base", base, house, origin="from the house")
    found: dict[str, Findings] = {}
    with opened(root, commit, rival, known) as case:
        case.cache = house / ".preflight/gates"
        for gate in gates:
            if gate not in ("policy", "base-case", "oddities"):
                found[gate] = judged(gate, partial(import_module(GATES + gate).judge, case))
    return found


def linted(root: Path) -> Part:
    """The evidence of `preflight lint` in a trial, by this checkout's tools."""
    (root / ".venv").symlink_to(ROOT / ".venv")
    with (root / ".git/info/exclude").open("a", encoding="utf-8") as file:
        file.write(".venv\n")
    workspace.run(root, "preflight", "lint", check=False)
    return evidence.collect(root / EVIDENCE, lineage.head(root), LINT)[0]


def suite(root: Path, name: str, test: str = "") -> Part:
    """A suite, or one file of its tests, run by pytest in a trial."""
    folder, commit = root / EVIDENCE, lineage.head(root)
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            test or f"tests/{name.replace('-', '_')}",
            "--evidence",
            str(folder),
            "--evidence-commit",
            commit,
        ],
        cwd=root,
        env=workspace.environment(root),
        capture_output=True,
        check=False,
    )
    (part,) = (each for each in evidence.collect(folder, commit, [name]) if each.gate == name)
    return part
