"""Links of an environment: its evidence, its rendered file, its place after staging, its pods."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from preflight.chain import ends, proof
from preflight.chain.claim import Claim
from preflight.chain.links import Compared, NotAsked
from preflight.deploy import manifests, rendering, tree
from preflight.errors import NoData
from preflight.release import ANNOTATION, RENDERED, Release


class Deployed:
    """What Git declares for an environment that has a record."""

    def __init__(self, root: Path, record: Release) -> None:
        self._root, self._record = root, record

    def evidence(self) -> Iterator[Compared]:
        """evidence.json against its record; raises NoData without it."""
        for each in proof.compared(self._root, self._record):
            yield Compared(*each)

    def manifest(self) -> Iterator[Compared]:
        """A record against what is rendered of it."""
        record = self._record
        path = self._root / (where := RENDERED.format(environment=record.environment))
        if not path.is_file():
            raise NoData(where, "no file", "what Argo CD applies", "Run `preflight render`.")
        text = path.read_text(encoding="utf-8")
        raw = manifests.parse(text, where).one("Rollout")
        template = raw["spec"]["template"]
        yield Compared("digest", record.image, _digest(template))
        for name, each in (("Rollout", raw), ("pods", template)):
            labels, notes = (each["metadata"].get(key, {}) for key in ("labels", "annotations"))
            version, release = labels.get(rendering.VERSION), notes.get(ANNOTATION)
            yield Compared(f"version of {name}", record.model.version, str(version))
            yield Compared(f"release of {name}", record.id, str(release))
        wanted = rendering.released(text, record, where)
        yield Compared("whole file", record.id, record.id if text == wanted else "edited by hand")

    def order(self) -> Iterator[Compared]:
        """A release against those that staging promoted before it."""
        from preflight.deploy.rules import releases  # with all other rules, so not before

        record = self._record
        if record.environment == releases.FIRST:
            raise NotAsked(f"{releases.FIRST} is the first environment")
        known = tree.load(self._root)
        own = [each for each in known.environments if each.name == record.environment]
        found = list(releases.ahead(replace(known, environments=tuple(own))))
        yield Compared("release", f"no {record.id}" if found else record.id, record.id)


def running(said: Claim, address: str, key: str | None) -> Iterator[Compared]:
    """What was declared against what a running service says; raises NoData where none answers."""
    found = ends.running(address, key)
    for what, expected, name in (
        ("version", said.version, "model_version"),
        ("commit", said.commit, "commit"),
        ("model hash", said.hash, "model_hash"),
        ("Bento", said.bento, "bento"),
    ):
        yield Compared(what, str(expected), str(found.get(name)))


def _digest(template: Mapping[str, Any]) -> str:
    """The digest of the service's image in a pod template; empty without one."""
    for each in template["spec"]["containers"]:
        if each["name"] == rendering.CONTAINER:
            return str(each["image"]).partition("@")[2]
    return ""
