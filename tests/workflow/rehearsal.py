"""A pull request from a fork, rehearsed: pull-request.yml, then report.yml, in scratch clones."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from conftest import ROOT
from fake_github import NUMBER, REPOSITORY, RUN, TOKEN, install_cml, serving, zipped
from faults import house
from preflight import workspace
from workflow.actions import Action, Inputs, Place
from workflow.runner import Result, Run

WORKFLOWS = Path(".github/workflows")
KEPT = ("test_house.py", "test_statistics.py", "test_evidence.py")
INTEGRATION = '"""What is left of these tests in a rehearsal."""\n'
PASSING = "\n\ndef test_it_adds_up() -> None:\n    assert 1 + 1 == 2\n"
FAILING = (
    '"""A fault of the rehearsal."""\n\n\ndef test_it_adds_up() -> None:\n    assert 1 + 1 == 3\n'
)
CRASHING = '\n\nraise RuntimeError("planted: no test can be collected")\n'
CHANGES = {  # path, what is written after what stands there, and how the check `decide` ends
    "honest": ("tests/unit/test_more.py", f'"""More."""\n{PASSING}', "success"),
    "prose": ("README.md", "\nMore.\n", "success"),
    "red": ("tests/unit/test_more.py", FAILING, "failure"),
    "crash": ("tests/conftest.py", CRASHING, "failure"),
}


@dataclass(frozen=True)
class Rehearsed:
    """What became of both workflows' jobs, and the comment, None where none was posted."""

    jobs: dict[str, Result]
    report: Result
    comment: str | None


class _Indented(yaml.SafeDumper):
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)  # as yamllint wants lists


def build(place: Path) -> Path:
    """A small repository of this tree with few tests, and a remote that anyone may read."""
    house.build(place)
    for name in ("unit", "integration"):
        for path in (place / "tests" / name).glob("test_*.py"):
            if path.name not in KEPT:
                path.unlink()
    (place / "tests/integration/test_rest.py").write_text(INTEGRATION + PASSING)
    project = place / "pyproject.toml"
    project.write_text(project.read_text().replace("fail_under = 90", "fail_under = 0"))
    params = place / "params.yaml"
    params.write_text(
        yaml.dump(yaml.safe_load(params.read_text()), None, _Indented, sort_keys=False)
    )
    remote = str(place.parent / "remote")
    workspace.run(place, "dvc", "remote", "modify", "local", "url", remote)
    workspace.run(place, "dvc", "push", "--quiet")
    workspace.run(place, "preflight", "docs")
    workspace.commit(place, "Keep few tests")
    return place


def change(source: Path, folder: Path, name: str) -> str:
    """Commit a change on a branch of its own in the source; returns the commit."""
    workspace.run(folder, "git", "clone", "--quiet", str(source), "fork")
    fork = folder / "fork"
    path, text, _ = CHANGES[name]
    with (fork / path).open("a", encoding="utf-8") as file:
        file.write(text)
    workspace.commit(fork, f"Make a change: {name}")
    workspace.run(fork, "git", "push", "--quiet", "origin", f"HEAD:refs/heads/{name}")
    return workspace.run(fork, "git", "rev-parse", "HEAD").stdout.strip()


def rehearse(source: Path, folder: Path, name: str) -> Rehearsed:
    """Open a pull request with a change, run its workflow, and the one that reports."""
    folder.mkdir(parents=True)
    head = change(source, folder, name)
    event = {"pull_request": {"number": NUMBER, "head": {"sha": head}}}
    github = {"sha": head, "event_name": "pull_request", "event": event}
    judging = Run(source, folder / "pull-request", github, ROOT)
    jobs = judging.execute(source / WORKFLOWS / "pull-request.yml")
    return Rehearsed(jobs, *posted(source, folder, head))


def posted(
    source: Path, folder: Path, head: str, conclusion: str = "failure"
) -> tuple[Result, str | None]:
    """Run report.yml on the artifacts of a run, against a fake GitHub and a fake CML."""
    with serving(head) as fake:
        for artifact in sorted((folder / "pull-request/artifacts").iterdir()):
            files = {each.name: each.read_bytes() for each in artifact.glob("*.json")}
            fake.upload(artifact.name, zipped(files))
        started: dict[str, Any] = {"id": RUN, "event": "pull_request", "conclusion": conclusion}
        github = {
            "sha": workspace.run(source, "git", "rev-parse", "main").stdout.strip(),
            "event_name": "workflow_run",
            "event": {"workflow_run": started},
            "repository": REPOSITORY,
            "api_url": fake.api,
            "token": TOKEN,
        }
        run = Run(source, folder / "report", github, ROOT, _cml(folder / "tools", head))
        done = run.execute(source / WORKFLOWS / "report.yml")
    written = folder / "tools/posted.md"
    return done["comment"], written.read_text() if written.exists() else None


def _cml(tools: Path, head: str) -> dict[str, Action]:
    """The action that installs CML, with a fake one that checks what it is given."""
    path = install_cml(tools, head)
    program = tools / "cml"
    # The commands of a workflow find more on their way than those of a test.
    text = program.read_text().replace(f'"PATH": {path!r}', '"PATH": variables["PATH"]')
    program.write_text(text)

    def install(place: Place, inputs: Inputs) -> bool:
        place.variables["PATH"] = f"{tools}:{place.variables['PATH']}"
        return True

    return {"iterative/setup-cml": install}


def fresh(folder: Path) -> Path:
    """An empty folder in place of what was there."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
