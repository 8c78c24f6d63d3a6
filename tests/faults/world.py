"""A released world: a bare remote and its clone, taken from a merge to production; trials copy it.

Its registry, Bento, image and folder of images are real; the gates' evidence is a stand-in, as the
gates have a house of their own.
"""

import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fake_github import green
from faults.changes import put
from faults.service import running
from preflight import evidence, lineage, release, workspace
from preflight.delivery import draft, landing, overlay, promotion
from preflight.delivery.draft import Draft
from preflight.deploy import rendering
from preflight.errors import Problem
from preflight.evidence import Part
from preflight.gates import REQUIRED
from preflight.layout import EVIDENCE, STATE
from preflight.release import RENDERED, Release

Said = subprocess.CompletedProcess[str]
SECONDS = 120.0
STAGING, PRODUCTION = "staging", "production"
POINTS = "refs/points/"  # where main stood: packaged, staged, promoted, released
# Builders are switched off: an image with its Python takes minutes, and the network.
WITHOUT_BUILDERS = """
import sys
from preflight.cli import main
from preflight.images import builders
builders.BUILDERS = ()
sys.exit(main(sys.argv[1:]))
"""


@dataclass(frozen=True)
class World:
    """A folder with `remote.git`, and a checkout of its main, both free to be broken."""

    place: Path

    @property
    def root(self) -> Path:
        """The checkout."""
        return self.place / "clone"

    @property
    def remote(self) -> Path:
        """The bare repository."""
        return self.place / "remote.git"

    @property
    def draft(self) -> Draft:
        """What was packaged."""
        return draft.read(self.root)

    @property
    def bento(self) -> Path:
        """The folder of the Bento."""
        return self.root / STATE / "bentoml/bentos" / self.draft.bento.replace(":", "/")

    @property
    def main(self) -> str:
        """The commit of the remote's main."""
        return self.git("rev-parse", "refs/heads/main", at=self.remote)

    @property
    def other(self) -> str:
        """What comes to main by somebody else while a command runs; empty for nothing."""
        words = ("for-each-ref", "--format=%(objectname)", f"{POINTS}other")
        return self.git(*words, at=self.remote)

    def git(self, *words: str, at: Path | None = None) -> str:
        """What Git says in the checkout, or elsewhere."""
        return workspace.run(at or self.root, "git", *words).stdout.strip()

    def preflight(self, *words: str, **variables: str) -> Said:
        """What a command says in the checkout, by the checkout's own code."""
        return self._run(("preflight", *words), variables)

    def _run(self, command: tuple[str, ...], variables: Mapping[str, str]) -> Said:
        own = workspace.environment(self.root)
        kept = {key: value for key, value in own.items() if not key.startswith("GITHUB_")}
        return subprocess.run(
            command,
            cwd=self.root,
            env=kept | dict(variables),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    def went(self, *words: str) -> str:
        """What a command says that has to succeed; raises Problem."""
        command = ("preflight", *words)
        if words == ("package",):
            command = (sys.executable, "-c", WITHOUT_BUILDERS, *words)
        done = self._run(command, {})
        if done.returncode:
            raise workspace.failed(("preflight", *words), done.stdout + done.stderr)
        return done.stdout

    def keep(self, point: str) -> None:
        """Remember where main stands."""
        self.git("update-ref", POINTS + point, "refs/heads/main", at=self.remote)

    def back(self, point: str) -> None:
        """Main, in the remote and here, as it stood; the registry, Bento and images stay."""
        self.git("update-ref", "refs/heads/main", POINTS + point, at=self.remote)
        self.git("fetch", "--quiet", "origin", "+refs/heads/*:refs/remotes/origin/*")
        self.git("checkout", "--quiet", "main")
        self.git("reset", "--quiet", "--hard", "origin/main")

    def push(self, message: str) -> str:
        """Commit all that was changed here, and push it; returns the commit."""
        workspace.commit(self.root, message)
        self.git("push", "--quiet", "origin", "HEAD:main")
        return lineage.head(self.root)

    def current(self, environment: str) -> Release:
        """An environment's record."""
        found = release.current(self.root, environment)
        assert found is not None
        return found

    def record(self, environment: str, source: Release, **fields: Any) -> Release:
        """Push a record with other fields, its rendered file and staging's evidence beside it."""
        plain = source.model_dump(mode="json") | {"environment": environment} | fields
        found = Release.model_validate(plain)
        place, proof, _ = overlay.places(environment)
        put(self.root / place, overlay.text(found))
        if not (self.root / proof).is_file():
            shutil.copy(self.root / draft.EVIDENCE, self.root / proof)
        self.render(found)
        self.push(f"Release {found.id} in {environment}")
        return found

    def render(self, found: Release) -> None:
        """Bring the values of a record into its rendered file."""
        path = self.root / RENDERED.format(environment=found.environment)
        text = rendering.released(path.read_text(encoding="utf-8"), found)
        put(path, text)


def green_parts(commit: str) -> tuple[Part, ...]:
    """Every required gate's green part of a commit."""
    return tuple(green(commit, gate) for gate in REQUIRED)


def build(house: Path, place: Path) -> World:
    """A release of the house, from a merge to a promotion in production, by its own commands.

    Raises Problem where its whole chain does not hold: then no fault in it could be told.
    """
    world = World(place)
    _merged(world, house)
    for part in green_parts(lineage.head(world.root)):
        evidence.write(world.root / EVIDENCE, part)
    world.went("package")
    world.went("publish")
    world.keep("packaged")
    world.went("stage")
    world.keep("staged")
    name = world.current(STAGING).id
    world.went("settle", STAGING, name, "promoted", "--reason", "all metrics fine")
    world.went("promote")
    world.keep("promoted")
    proposal = promotion.branch(PRODUCTION, name)
    world.git("update-ref", POINTS + "proposal", f"refs/heads/{proposal}", at=world.remote)
    landing.land_here(world.root, name)
    world.went("settle", PRODUCTION, name, "promoted", "--reason", "all metrics fine")
    world.keep("released")
    _require_whole(world)
    for each in (world.root, world.remote):  # a copy takes as long as it has files
        world.git("repack", "-a", "-d", "--quiet", at=each)
    shutil.rmtree(world.root / STATE / "mlflow/artifacts")
    return world


def _merged(world: World, house: Path) -> None:
    """The house's main in a bare remote, and a merged change on top of it in a clone."""
    world.place.mkdir(parents=True)
    world.git("clone", "--quiet", "--bare", str(house), str(world.remote), at=world.place)
    world.git("clone", "--quiet", str(world.remote), str(world.root), at=world.place)
    for name in ("data", "models"):
        shutil.copytree(house / name, world.root / name, dirs_exist_ok=True)
    (world.root / ".dvc/cache").symlink_to((house / ".dvc/cache").resolve())
    with (world.root / "docs/fork.md").open("a", encoding="utf-8") as page:
        page.write("\n")
    world.push("Longer trips (#7)")


def _require_whole(world: World) -> None:
    """The world is honest: each of the ten links holds, to what runs and to the tree."""
    with running(world.draft) as address:
        said = world.went("verify", PRODUCTION, "--server", address)
    if "the chain holds (9 of 10 links asked)" not in said:
        raise Problem("the world", said[-300:], "nine links that hold", "Mend the chain.")
    world.git("checkout", "--quiet", world.draft.commit)
    said = world.went("verify", "HEAD")
    world.git("checkout", "--quiet", "main")
    if "the chain holds (3 of 10 links asked)" not in said:
        raise Problem("the world's tree", said[-300:], "three links that hold", "Mend the chain.")


def copied(world: Path, place: Path) -> World:
    """A copy of a world, for one trial."""
    shutil.copytree(world, place, symlinks=True)
    made = World(place)
    made.git("remote", "set-url", "origin", str(made.remote))
    return made
