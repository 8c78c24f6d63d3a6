"""A release's whole way on one machine: scratch clone, bare remote, folders for registries."""

import logging
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from preflight import bento, champion, lineage, reference, release, risk, workspace
from preflight.delivery import landing, packaging, promotion, staging
from preflight.errors import NoData, Problem
from preflight.journal import Journal, near
from preflight.layout import EVIDENCE, LOG, PACKAGED, STATE
from preflight.predictor import Predictor
from preflight.rehearsal import rehearsed
from preflight.rehearsal.plan import Release as Arm
from preflight.rehearsal.rehearsed import Wanted
from preflight.rehearsal.timeline import Timeline
from preflight.workspace import environment, run

PLACE = STATE / "release"
STAGED = "commit to staging"
NOT_HERE = (
    "image           built where docker, podman or buildah works; else a Bento alone is kept",
    "signatures      keyless ones are made with GitHub's identity, in release.yml",
    "weaknesses      of the image and its bill of materials: release.yml; here: make audit",
    "pull request    a branch here; its review and its checks are GitHub's",
    "cluster         the rehearsal's Envoy moved the weights; Argo CD and Rollouts did not",
)
log = logging.getLogger("preflight")


@dataclass(frozen=True)
class _Way:
    """Where it happens: the checkout, its scratch clone, and the journal."""

    root: Path
    scratch: Path
    journal: Journal

    def command(self, step: str, *words: str) -> None:
        """A step that is one of `preflight`'s commands; its words are the last line it prints."""
        with self.journal.step(step) as say:
            done = run(self.scratch, "preflight", *words)
            say((done.stdout.strip() or done.stderr.strip()).splitlines()[-1])


def release_here(root: Path) -> None:
    """Take HEAD from a merge to production, and trace an answer of it; ends with a table.

    Needs the evidence of HEAD and makes what is missing. Raises Problem where a step is refused,
    as the rollout of a commit that is worse than its champion.
    """
    lineage.require_committed(root)
    way = _Way(root, root / PLACE / "checkout", Journal("release"))
    _evidence(way)
    _clone(way)
    way.command("restore data and model", "restore")
    way.command("register, Bento, image", "package")
    way.command("publish", "publish")
    way.command(STAGED, "stage")
    staged = _current(way.scratch, staging.FIRST)
    folder = way.scratch / STATE / "bentoml/bentos" / staged.bento.replace(":", "/")
    _roll_out(way, staged, folder)
    way.command("propose to production", "promote")
    environment = _land(way)
    way.command(f"verify {environment}", "verify", environment)
    _trace(way, environment, folder)
    _finish(way, environment)


def _evidence(way: _Way) -> None:
    """All gates green on HEAD, or it ends here; what has not run yet runs now."""
    with way.journal.step("evidence") as say:
        commit = lineage.head(way.root)
        try:
            parts = packaging.green(way.root, commit)
        except NoData:
            command = ("preflight", "report", "--run")
            subprocess.run(command, cwd=way.root, env=environment(way.root), check=False)
            parts = packaging.green(way.root, commit)
        say(f"{len(parts)} gates green on {commit[:12]}")


def _clone(way: _Way) -> None:
    with way.journal.step("clone") as say:
        shutil.rmtree(way.root / PLACE, ignore_errors=True)
        remote = way.root / PLACE / "remote.git"
        remote.parent.mkdir(parents=True)
        run(way.root, "git", "clone", "--quiet", "--bare", str(way.root), str(remote))
        run(remote, "git", "update-ref", "refs/heads/main", lineage.head(way.root))
        run(remote, "git", "symbolic-ref", "HEAD", "refs/heads/main")
        workspace.clone(remote, way.scratch)
        cache = way.root / ".dvc/cache"
        cache.mkdir(parents=True, exist_ok=True)
        (way.scratch / ".dvc/cache").symlink_to(cache.resolve())
        shutil.copytree(way.root / EVIDENCE, way.scratch / EVIDENCE)
        say(f"{lineage.head(way.root)[:12]} is main of {near(remote, way.root)}")


def _current(scratch: Path, environment: str) -> release.Release:
    found = release.current(scratch, environment)
    if found is None:
        where = release.PLACE.format(environment=environment)
        raise Problem(where, "no record", "the one just committed", "Report this.")
    return found


def _roll_out(way: _Way, staged: release.Release, folder: Path) -> None:
    """The canary as staging's rendered file declares it now; its end goes into the record."""
    with way.journal.step("roll out in staging") as say:
        rival = champion.bring(way.root, champion.resolve(way.root, staged.commit))
        stable, _ = rehearsed.releases(way.root, staged.commit, rival)
        candidate = Arm(staged.id, way.root, folder)
        found, path = rehearsed.between(way.scratch, stable, candidate, Wanted(), Timeline())
        say(f"{found.state}: {found.reason}")
    ended = "promoted" if found.state == "promoted" else "aborted"
    way.command("settle staging", "settle", "staging", staged.id, ended, "--reason", found.reason)
    if ended == "aborted":
        raise Problem(staged.id, f"aborted: {found.reason}", "a promotion", f"See {path}.")


def _land(way: _Way) -> str:
    """Put the proposal on main where the tier asks for no approval; the environment it came to."""
    tier = risk.of(way.scratch)
    if tier.approvals:
        log.warning(
            "release: tier %s asks for %d approval, and GitHub alone can give it: it ends at the "
            "proposal",
            *(tier.name, tier.approvals),
        )
        return staging.FIRST
    with way.journal.step("land in production") as say:
        say(landing.land_here(way.scratch, _current(way.scratch, staging.FIRST).id))
    return promotion.NEXT


def _trace(way: _Way, environment: str, folder: Path) -> None:
    """An answer of the released Bento, and every link behind it."""
    columns = reference.columns(Predictor(way.scratch / PACKAGED).contract, 1, seed=3)
    with (
        way.journal.step("serve, ask once") as say,
        bento.served(way.root, folder, way.scratch) as server,
    ):
        answer: dict[str, Any] = bento.ask(server, "/v1/predict", reference.instances(columns)[0])
        say(f"{answer['prediction_id']}: {answer['value']:.1f} {answer['unit']}s")
    with way.journal.step("trace") as say:
        place = str(way.scratch / LOG)
        words = ("trace", answer["prediction_id"], "--log", place, "--env", environment)
        done = run(way.scratch, "preflight", *words)
        say(f"{len(done.stdout.splitlines())} lines, shown above")
    log.info("%s", done.stdout)


def _finish(way: _Way, environment: str) -> None:
    way.journal.show()
    log.info("%s after %.1f s", STAGED, way.journal.seconds(STAGED))
    log.info("")
    log.info("not proven here:")
    for line in NOT_HERE:
        log.info("  %s", line)
    log.info("")
    log.info("records    git -C %s log", near(way.scratch, way.root))
    log.info("the release is in %s of that clone", environment)
