"""What the lint looks at: the folder deploy/ as it stands, read once."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from preflight import release
from preflight.deploy import manifests, rollouts
from preflight.deploy.manifests import Manifests, Object, label
from preflight.errors import NoData
from preflight.release import Release
from preflight.rollout import limits
from preflight.rollout.limits import Limits

RENDERED, PLATFORM = Path("deploy/rendered"), Path("deploy/platform")
OVERLAYS = Path("deploy/overlays")
RUNS = ("Deployment", "StatefulSet", "DaemonSet", "Rollout")


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
    """One environment: what is rendered for it, and what was released, None before the first."""

    name: str
    record: Release | None
    limits: Limits

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
    def templates(self) -> dict[str, rollouts.AnalysisTemplate]:
        """Analyses by name, typed; raises Problem."""
        return rollouts.templates(self.manifests)

    @property
    def raw(self) -> Object:
        """The Rollout as it stands."""
        return self.manifests.one("Rollout")

    @property
    def labels(self) -> dict[str, str]:
        """What the Rollout's pods are labelled with, but for what the controller adds."""
        return dict(self.raw["spec"]["template"]["metadata"].get("labels") or {})


@dataclass(frozen=True)
class Tree:
    """All of deploy/: environments by name, and the platform's files."""

    root: Path
    environments: tuple[Environment, ...]
    platform: tuple[Files, ...]

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
    overlays = sorted((root / OVERLAYS).glob("*/kustomization.yaml"))
    names = [each.parent.name for each in overlays]
    if not names:
        remedy = "Add an overlay."
        raise NoData(str(OVERLAYS), "no environment", "staging and production", remedy)
    limited = limits.load(root / "params.yaml")
    return Tree(
        root,
        tuple(_environment(root, name, limited) for name in names),
        tuple(_platform(root)),
    )


def _environment(root: Path, name: str, limited: Limits) -> Environment:
    found = manifests.read(root / RENDERED / f"{name}.yaml")
    return Environment(_relative(found, root), name, release.current(root, name), limited)


def _platform(root: Path) -> Iterator[Files]:
    """Its files but for kustomize's own, patches and what is not for a cluster."""
    for path in sorted((root / PLATFORM).rglob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        whole = list(manifests.documents(text, str(path.relative_to(root))))
        if path.name != "kustomization.yaml" and all(map(_is_object, whole)):
            yield Files(manifests.parse(text, str(path.relative_to(root))))


def _is_object(each: Any) -> bool:
    return isinstance(each, dict) and {"apiVersion", "kind", "metadata"} <= each.keys()


def _relative(found: Manifests, root: Path) -> Manifests:
    return replace(found, where=str(Path(found.where).relative_to(root)))


def pods(each: Object) -> tuple[str, dict[str, Any]] | None:
    """The field of an object's pods, and their spec; None for what runs none."""
    if each["kind"] in RUNS or each["kind"] == "Job":
        return "spec.template.spec", each["spec"]["template"]["spec"]
    if each["kind"] == "CronJob":
        inner = each["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        return "spec.jobTemplate.spec.template.spec", inner
    return None


def containers(each: Object) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each container with its field, those that run first among them."""
    if (found := pods(each)) is None:
        return
    place, spec = found
    for kind in ("containers", "initContainers"):
        for one in spec.get(kind) or ():
            yield f"{place}.{kind}.{one.get('name')}", one
