"""The release record: deploy/overlays/ENVIRONMENT/release.yaml, one a release, all in Git."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from preflight.errors import Problem
from preflight.workspace import run

Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Word = Annotated[str, Field(min_length=1, max_length=200)]
OVERLAYS = Path("deploy/overlays")
PLACE = "deploy/overlays/{environment}/release.yaml"
EVIDENCE = "deploy/overlays/{environment}/evidence.json"
RENDERED = "deploy/rendered/{environment}.yaml"
ANNOTATION = "preflight/release"  # in what is rendered: a release's id, none before the first
# In C where it was built with it: histories hold hundreds of records.
FAST = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
log = logging.getLogger("preflight")


class _Plain(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ReleasedModel(_Plain):
    """A registered model: name, version and hash of its manifest."""

    name: Word
    version: Word
    hash: Hash


class Rollout(_Plain):
    """How a release's rollout ended, when, and the judge's reason; pending while it runs."""

    verdict: Literal["pending", "promoted", "aborted"]
    at: AwareDatetime | None
    reason: Annotated[str, Field(max_length=600)] | None = None


class Approval(_Plain):
    """A review that let a release through: by whom, of which head, its address, and when."""

    who: Word
    commit: Commit
    review: Word
    at: AwareDatetime


class Release(_Plain):
    """Who released what, when, from what, on which evidence, and how it ended.

    `commit` made the model, by `pull_request`; `artifacts` says whether its data and model were
    pulled by hash or rebuilt, `run` is the address of the build's log. `manifests` is the commit
    that the environment is rendered from. `data` and `evidence` are digests, the latter of
    evidence.json beside the record; `image` is an image's digest, `previous` the commit of the
    release before. `approval` is None where the risk tier asks for none.
    """

    environment: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
    model: ReleasedModel
    commit: Commit
    manifests: Commit
    data: Hash
    evidence: Hash
    bento: Word
    image: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
    who: Word
    when: AwareDatetime
    previous: Commit | None
    artifacts: Literal["pulled", "rebuilt"]
    run: Word | None
    pull_request: Annotated[int, Field(ge=1)] | None
    approval: Approval | None
    rollout: Rollout

    @property
    def id(self) -> str:
        """As manifests name it: the model's version and the start of its commit."""
        return f"{self.model.version}-{self.commit[:12]}"

    @property
    def deploys(self) -> tuple[str, str, str]:
        """What it puts into its environment: records alike in this render alike."""
        return self.id, self.image, self.manifests


@dataclass(frozen=True)
class Recorded:
    """A record, and the Git commit that holds it so."""

    at: str
    release: Release


@dataclass(frozen=True)
class Unreadable:
    """A record that is none, the Git commit that holds it so, and what is wrong with it."""

    at: str
    problem: Problem


def parse(text: str, where: str) -> Release:
    """A record from YAML; raises Problem that names the first field that is wrong."""
    try:
        return Release.model_validate(yaml.load(text, FAST))  # noqa: S506 (it is the safe one)
    except yaml.YAMLError as error:
        found = " ".join(str(error).split())
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        found = f"{'.'.join(map(str, first['loc'])) or 'the record'}: {first['msg']}"
    raise Problem(where, found, "a whole release record", "Mend it by a commit, or revert it.")


def of(environment: str, text: str, where: str) -> Release:
    """An environment's record; raises Problem when it is another's."""
    found = parse(text, where)
    if found.environment != environment:
        raise Problem(
            f"{where}: environment", found.environment, environment, "Restore it: git checkout."
        )
    return found


def versions(root: Path, environment: str, commit: str) -> Iterator[Recorded | Unreadable]:
    """What `commit` and its ancestors have as an environment's record, newest first."""
    place = PLACE.format(environment=environment)
    for known in run(root, "git", "rev-list", commit, "--", place).stdout.split():
        shown = run(root, "git", "show", f"{known}:{place}", check=False)
        if shown.returncode == 0:  # the commit that deleted it has none
            try:
                yield Recorded(known, of(environment, shown.stdout, f"{place} at {known[:12]}"))
            except Problem as problem:
                yield Unreadable(known, problem)


def recorded(root: Path, environment: str, commit: str) -> Iterator[Recorded]:
    """The records among `versions`; a warning says which one is passed over as unreadable."""
    for each in versions(root, environment, commit):
        if isinstance(each, Recorded):
            yield each
        else:
            passed_over(each)


def passed_over(each: Unreadable) -> None:
    """Warn that a record in history does not count."""
    log.warning("warning: passed over %s: found %s", each.problem.where, each.problem.found)


def history(root: Path, environment: str, commit: str) -> Iterator[Release]:
    """The records of `recorded` alone."""
    return (each.release for each in recorded(root, environment, commit))


def current(root: Path, environment: str) -> Release | None:
    """The record that the working tree has; None before the first release.

    Raises Problem when it cannot be read, or is another environment's.
    """
    place = PLACE.format(environment=environment)
    if not (root / place).is_file():
        return None
    return of(environment, (root / place).read_text(encoding="utf-8"), place)


def promoted(root: Path, environment: str, commit: str) -> Release | None:
    """The newest record whose rollout was promoted.

    Raises Problem while the newest of all cannot be read: it might be the one.
    """
    for place, each in enumerate(versions(root, environment, commit)):
        if isinstance(each, Unreadable):
            if place == 0:
                raise each.problem
            passed_over(each)
        elif each.release.rollout.verdict == "promoted":
            return each.release
    return None
