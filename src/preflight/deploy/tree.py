"""What the lint looks at: the folder deploy/ as it stands, read once."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from preflight import params
from preflight.deploy import analyses, manifests, rollouts
from preflight.deploy.manifests import Manifests, Object, label
from preflight.deploy.pods import labels
from preflight.deploy.record import readable
from preflight.errors import NoData, Problem
from preflight.params import Serving
from preflight.release import OVERLAYS, RENDERED, Release
from preflight.rollout import limits
from preflight.rollout.limits import Limits

FOLDER, PLATFORM = Path(RENDERED).parent, Path("deploy/platform")
# No objects, by name: a chart's values, Vector's configuration, the blackbox exporter's, who emits
# which metric, and promtool's tests.
TOOLS = ("values.yaml", "vector.yaml", "blackbox.yml", "emitters.yaml", "rules.test.yaml")
KUSTOMIZE = "kustomize.config.k8s.io/"


@dataclass(frozen=True)
class Finding:
    """A violated rule: in which file, object and field, what is there and should be, and why."""

    file: str
    object: str
    field: str
    found: str
    expected: str
    remedy: str

    def __str__(self) -> str:
        """One line."""
        place = ": ".join(each for each in (self.file, self.object, self.field) if each)
        return f"{place}: found {self.found}; expected {self.expected}. {self.remedy}"


@dataclass(frozen=True)
class Files:
    """Objects of one file, and what makes findings of it."""

    manifests: Manifests

    def finding(self, each: Object, field: str, found: str, expected: str, remedy: str) -> Finding:
        """What is wrong with one of the objects."""
        return Finding(self.manifests.where, label(each), field, found, expected, remedy)


@dataclass(frozen=True)
class Environment(Files):
    """One environment: what is rendered for it, and what was released, None before the first.

    `unread` is what is wrong with the release record, where it cannot be read.
    """

    name: str
    record: Release | None
    limits: Limits
    serving: Serving
    unread: Problem | None = None

    @cached_property
    def rollout(self) -> rollouts.Rollout:
        """The Rollout, typed; raises Problem."""
        return rollouts.rollout(self.manifests)

    @property
    def canary(self) -> rollouts.Canary | None:
        """Its strategy; None where it is blue-green."""
        return self.rollout.spec.strategy.canary

    @property
    def steps(self) -> tuple[rollouts.Step, ...]:
        """Those of a canary; blue-green has none."""
        return self.canary.steps if self.canary else ()

    @property
    def services(self) -> tuple[str, str]:
        """What leads to the pods of before, and to the new ones."""
        strategy = self.raw["spec"]["strategy"]
        if canary := strategy.get("canary"):
            return canary["stableService"], canary["canaryService"]
        return strategy["blueGreen"]["activeService"], strategy["blueGreen"]["previewService"]

    @cached_property
    def templates(self) -> dict[str, analyses.AnalysisTemplate]:
        """Analyses by name, typed; raises Problem."""
        return analyses.templates(self.manifests)

    @property
    def raw(self) -> Object:
        """The Rollout as it stands."""
        return self.manifests.one("Rollout")

    @property
    def labels(self) -> dict[str, str]:
        """What the Rollout's pods are labelled with, but for what the controller adds."""
        return labels(self.raw)


@dataclass(frozen=True)
class Tree:
    """All of deploy/: environments by name, the platform's files, and what no rule can read."""

    root: Path
    environments: tuple[Environment, ...]
    platform: tuple[Files, ...]
    odd: tuple[Finding, ...] = ()

    @property
    def files(self) -> tuple[Files, ...]:
        """Every file's objects."""
        return (*self.environments, *self.platform)

    def all(self, kind: str) -> Iterator[tuple[Files, Object]]:
        """Objects of a kind in all files, each with its file."""
        for each in self.files:
            for found in each.manifests.all(kind):
                yield each, found


def load(root: Path) -> Tree:
    """A checkout's deploy/; raises Problem for a file that cannot be read, NoData without any."""
    names = environments(root)
    if not names:
        remedy = "Add an overlay."
        raise NoData(str(OVERLAYS), "no environment", "staging and production", remedy)
    told = limits.load(root / "params.yaml"), params.load(root / "params.yaml").serving
    paths = sorted((root / PLATFORM).rglob("*.y*ml"))
    read = [_platform(path, str(path.relative_to(root))) for path in paths]
    found = tuple(
        _environment(root, name, *told)
        for name in names
        if (root / RENDERED.format(environment=name)).is_file()
    )
    return Tree(
        root,
        found,
        tuple(files for files, _ in read if files.manifests.objects),
        (*_halves(root, names), *_unread(found), *(each for _, odd in read for each in odd)),
    )


def environments(root: Path) -> list[str]:
    """Whatever has an overlay, a release record or a rendered file, in alphabetic order."""
    overlays = (each.parent.name for each in (root / OVERLAYS).glob("*/*.y*ml"))
    return sorted({*overlays, *(each.stem for each in (root / FOLDER).glob("*.y*ml"))})


def _halves(root: Path, names: list[str]) -> Iterator[Finding]:
    """Environments of which one file is there without the other."""
    for name in names:
        for path in (OVERLAYS / name / "kustomization.yaml", FOLDER / f"{name}.yaml"):
            if not (root / path).is_file():
                remedy = f"Add it, or delete what there is of {name}: it would be read by half."
                yield Finding(str(path), "", "", "no file", f"one, as {name} is there", remedy)


def _unread(environments: tuple[Environment, ...]) -> Iterator[Finding]:
    """Release records that cannot be read."""
    for problem in filter(None, (each.unread for each in environments)):
        yield Finding(problem.where, "", "", problem.found, problem.expected, problem.remedy)


def _environment(root: Path, name: str, limited: Limits, serving: Serving) -> Environment:
    found = _relative(manifests.read(root / RENDERED.format(environment=name)), root)
    record, unread = readable(root, name)
    return Environment(found, name, record, limited, serving, unread)


def _platform(path: Path, where: str) -> tuple[Files, list[Finding]]:
    """A file's objects, kustomize's own left out, and what is none though no tool's."""
    objects, odd = [], []
    for number, each in enumerate(manifests.documents(path.read_text("utf-8"), where), 1):
        if isinstance(each, dict) and str(each.get("apiVersion")).startswith(KUSTOMIZE):
            continue
        if _is_object(each):
            objects.append(each)
        elif path.name not in TOOLS:
            remedy = "Mend it, or name its tool in TOOLS of src/preflight/deploy/tree.py."
            expected = "apiVersion, kind and metadata"
            odd.append(Finding(where, "", f"document {number}", "no object", expected, remedy))
    return Files(manifests.gathered(objects, where)), odd


def _is_object(each: Any) -> bool:
    if not isinstance(each, dict):
        return False
    return each.get("kind") == "List" or {"apiVersion", "kind", "metadata"} <= each.keys()


def _relative(found: Manifests, root: Path) -> Manifests:
    return replace(found, where=str(Path(found.where).relative_to(root)))
