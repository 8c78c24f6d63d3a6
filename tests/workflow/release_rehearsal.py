"""A release, rehearsed: release, verdict, promote, rollback, with a bare remote and a fake API.

Jobs that only measure (GIVEN) are pull-request.yml's too, and rehearsed there: here their evidence
is planted. What stands in for GitHub's own services is in `stand_ins`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from conftest import ROOT, git
from fake_github import BOT, REPOSITORY, TOKEN, FakeGitHub, Json, serving, whole
from preflight import release, workspace
from preflight.delivery import overlay
from preflight.deploy import rendering
from preflight.layout import STATE
from preflight.release import Release
from workflow.rehearsal import WORKFLOWS
from workflow.runner import Result, Run
from workflow.stand_ins import StandIns

GIVEN = ("lint", "test", "gates", "measured")
RECIPE = r"^{name}:.*\n(?:\t.*\n)+"
VARIABLES = {
    "RELEASES": REPOSITORY,
    "BOT": BOT,
    "BOT_CLIENT_ID": "Iv1.a",
    "REGISTRY": "registry.example",
}


@dataclass
class World:
    """A bare remote, what GitHub answers, a folder a run; `variables` are the repository's."""

    folder: Path
    remote: Path
    fake: FakeGitHub
    stand_ins: StandIns
    variables: dict[str, str] = field(default_factory=lambda: dict(VARIABLES))
    runs: int = 0

    def head(self, branch: str = "main") -> str:
        """The commit of a branch at the remote."""
        return git(self.remote, "rev-parse", f"refs/heads/{branch}").strip()

    def branches(self) -> list[str]:
        """The branches at the remote."""
        found = git(self.remote, "for-each-ref", "--format=%(refname:short)", "refs/heads")
        return found.split()

    def record(self, environment: str, branch: str = "main") -> Release | None:
        """An environment's record on a branch; None before the first."""
        place = release.PLACE.format(environment=environment)
        shown = workspace.run(self.remote, "git", "show", f"{branch}:{place}", check=False)
        return release.parse(shown.stdout, place) if shown.returncode == 0 else None

    def touched(self, branch: str = "main") -> set[str]:
        """The files of a branch's last commit."""
        listed = git(self.remote, "show", "--format=", "--name-only", f"refs/heads/{branch}")
        return set(listed.split())

    def log(self, job: str) -> str:
        """What a job of the last run printed."""
        path = self.folder / f"run-{self.runs}/logs/{job}.log"
        return path.read_text() if path.exists() else ""

    def run(
        self, name: str, event_name: str, event: Json, inputs: Mapping[str, str] | None = None
    ) -> dict[str, Result]:
        """Run a workflow of main; returns what became of each job."""
        self.runs += 1
        folder, sha = self.folder / f"run-{self.runs}", self.head()
        planted = name == "release.yml" and "RELEASES" in self.variables
        given = _planted(folder / "artifacts", sha) if planted else {}
        github: dict[str, Any] = {
            "sha": sha,
            "ref": "refs/heads/main",
            "actor": "ada",
            "event_name": event_name,
            "event": event,
            "repository": REPOSITORY,
            "api_url": self.fake.api,
            "token": TOKEN,
        }
        contexts = {"vars": self.variables, "secrets": {"BOT_KEY": "a key"}, "inputs": inputs or {}}
        actions = self.stand_ins.actions()
        run = Run(self.remote, folder, github, ROOT, actions, given, contexts)
        return run.execute(ROOT / WORKFLOWS / name)

    def release(self) -> dict[str, Result]:
        """What a merge to main starts."""
        return self.run("release.yml", "push", {})

    def told(
        self, environment: str, verdict: str, name: str | None = None, question: str = ""
    ) -> dict[str, Result]:
        """What Argo Rollouts' word of a rollout's end starts; of what is recorded, unless named."""
        found = self.record(environment)
        payload = {
            "environment": environment,
            "release": name or (found.id if found else "none"),
            "verdict": verdict,
            "question": question,
        }
        return self.run("verdict.yml", "repository_dispatch", {"client_payload": payload})

    def heard(self, number: int, **fields: object) -> dict[str, Result]:
        """What the end of the pull request's checks, or of a review, starts."""
        pull = next(each for each in self.fake.pulls if each["number"] == number)
        ended = {
            "conclusion": "success",
            "head_branch": pull["head"]["ref"],
            "head_repository": {"full_name": REPOSITORY},
            "pull_requests": [{"number": number}],
        }
        return self.run("promote.yml", "workflow_run", {"workflow_run": ended | fields})

    def proposed(self, again: str) -> dict[str, Result]:
        """What an operator starts who says why a release comes again."""
        inputs = {"number": "", "again": again}
        return self.run("promote.yml", "workflow_dispatch", {"inputs": inputs}, inputs)

    def rollback(self, environment: str, why: str, to: str = "") -> dict[str, Result]:
        """What an operator starts."""
        inputs = {"environment": environment, "to": to, "why": why}
        return self.run("rollback.yml", "workflow_dispatch", {"inputs": inputs}, inputs)

    def push(self, branch: str, files: Mapping[str, str]) -> str:
        """Somebody's commit on a branch, perhaps of no file; returns it."""
        folder = self.folder / f"clone-{len(list(self.folder.glob('clone-*')))}"
        git(self.folder, "clone", "--quiet", "--branch", branch, str(self.remote), str(folder))
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
        who = ("-c", "user.name=Ada", "-c", "user.email=ada@localhost")
        git(folder, "add", "--all")
        git(folder, *who, "commit", "--quiet", "--allow-empty", "--message", "Push")
        git(folder, "push", "--quiet", "origin", f"HEAD:{branch}")
        return self.head(branch)

    def put(self, record: Release, files: Mapping[str, str] | None = None) -> None:
        """A release as main has it then, without the jobs that make one."""
        place, _, rendered = overlay.places(record.environment)
        text = rendering.released(self.text(rendered), record, rendered)
        self.push("main", {place: overlay.text(record), rendered: text, **(files or {})})

    def text(self, name: str) -> str:
        """A file of main."""
        return git(self.remote, "show", f"main:{name}")


@contextmanager
def world(source: Path, folder: Path, *, planted: bool = False) -> Iterator[World]:
    """A world around a small repository whose pipeline was run; `source` is changed.

    Where releases are planted, no registry has them, and no step verifies their chains.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _prepare(source, folder, ("audit", "resume", *(["verify"] if planted else [])))
    remote = folder / "origin.git"
    git(folder, "clone", "--quiet", "--bare", str(source), str(remote))
    with serving(git(source, "rev-parse", "HEAD").strip()) as fake:
        fake.pulls.clear()
        found = World(folder, remote, fake, StandIns(folder / "tools"))
        fake.head_of = found.head
        yield found


def _prepare(source: Path, folder: Path, left_out: Sequence[str]) -> None:
    """What is kept outlives a job; tools are lent, and nothing asks the network."""
    params = yaml.safe_load((source / "params.yaml").read_text())
    uri = f"sqlite:///{folder / 'mlflow/mlflow.db'}"
    (folder / "mlflow").mkdir()
    params["registry"] |= {"uri": uri, "images": str(folder / "images")}
    params["risk"]["tiers"]["low"]["approvals"] = 1  # of production's pull request
    (source / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    makefile = (source / "Makefile").read_text()
    lend = f"@mkdir -p {STATE} && ln -sfn {ROOT / STATE / 'go'} {STATE}/go"
    for name, recipe in {"tools": lend, **dict.fromkeys(left_out, "@true")}.items():
        pattern = re.compile(RECIPE.format(name=name), re.MULTILINE)
        makefile, many = pattern.subn(f"{name}:\n\t{recipe}\n", makefile)
        assert many == 1, name
    (source / "Makefile").write_text(makefile)
    workspace.run(source, "dvc", "remote", "modify", "local", "url", str(folder / "data"))
    workspace.run(source, "dvc", "push", "--quiet")
    workspace.commit(source, "Name what outlives a runner")


def _planted(artifacts: Path, sha: str) -> dict[str, Result]:
    """The jobs that are not run here, with green evidence of a commit."""
    place = artifacts / "evidence-gates"
    place.mkdir(parents=True)
    for name, body in whole(sha).items():
        (place / name).write_bytes(body)
    return {name: Result("success") for name in GIVEN}
