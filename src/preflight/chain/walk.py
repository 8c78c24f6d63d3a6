"""What each link of the chain compares, from dvc.lock to what runs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from preflight import files, lineage
from preflight.chain import deployed, ends, image, recipe
from preflight.chain.claim import Claim, Kind
from preflight.chain.deployed import Deployed
from preflight.chain.ends import Packed, Registered
from preflight.chain.links import Compared, NotAsked
from preflight.errors import NoData, Problem
from preflight.images.labels import Labels
from preflight.layout import PACKAGED

LOCK = "requirements/serve.txt"
Value = TypeVar("Value")


@dataclass(frozen=True)
class Service:
    """A running service to be asked: its address, and a key of scope admin."""

    address: str
    key: str | None


class Walk:
    """The comparisons of each link; what several of them need is asked once."""

    def __init__(self, root: Path, said: Claim, service: Service | None) -> None:
        self._root, self._said, self._service = root, said, service
        self._known: dict[str, Any] = {}

    def _once(self, end: str, ask: Callable[[], Value]) -> Value:
        """What an end says; one that is absent or broken is not asked again."""
        if end not in self._known:
            try:
                self._known[end] = ask()
            except Problem as problem:
                self._known[end] = problem
        if isinstance(found := self._known[end], Problem):
            raise found
        value: Value = found
        return value

    @property
    def _registered(self) -> Registered:
        root, said = self._root, self._said
        return self._once(
            "registry", lambda: ends.registered(root, said.registry, said.version, said.commit)
        )

    @property
    def _packed(self) -> Packed:
        return self._once("Bento", self._unpacked)

    def _unpacked(self) -> Packed:
        """The Bento that is here, else what the image holds of it."""
        return ends.unpacked(here) if (here := self._here()) else self._held

    def _here(self) -> Path | None:
        """The Bento that was named, else that of the tag; None where it is not here."""
        if self._said.packed:
            return self._said.packed
        try:
            return ends.bento(self._root, self._said.bento or "")
        except NoData:
            return None

    @property
    def _held(self) -> Packed:
        return self._once("Bento inside", lambda: image.held(self._folder))

    @property
    def _labels(self) -> Labels:
        return self._once("labels", lambda: image.labelled(self._folder))

    @property
    def _folder(self) -> Path:
        """The layout of the image."""
        named, root, digest = self._said.layout, self._root, self._said.image or ""
        return named or self._once("image", lambda: image.folder(root, digest))

    @property
    def _data(self) -> str:
        """The digest of the data that the commit's dvc.lock names."""
        root, commit = self._root, self._said.commit
        recipe.require_here(root, commit)
        return self._once("data", lambda: lineage.data_digest(lineage.data_at(root, commit)))

    def _require(self, kind: Kind) -> None:
        if not self._said.reaches(kind):
            raise NotAsked(f"it lies beyond {self._said.named}")

    def _deployed(self) -> Deployed:
        if self._said.record is None:
            raise NotAsked(f"{self._said.named} is no environment")
        return Deployed(self._root, self._said.record)

    def data(self) -> Iterator[Compared]:
        """What the pipeline read, as the commit has it."""
        yield from recipe.compared(self._root, self._said.commit)
        if self._said.data is not None:
            yield Compared("data", self._data, self._said.data)

    def model(self) -> Iterator[Compared]:
        """The model that lies here, where this is the commit's tree."""
        from preflight.predictor import MANIFEST, verify

        if lineage.head(self._root) != self._said.commit:
            raise NotAsked(f"the tree here is not of {self._said.commit[:12]}")
        if not (self._root / PACKAGED / MANIFEST).is_file():
            raise NotAsked("no model here; `make restore` brings it")
        try:
            expected = self._said.hash or self._registered.hash
        except NoData as problem:
            raise NotAsked(f"no hash to compare with: {problem.where}, {problem.found}") from None
        verify(self._root / PACKAGED)
        yield Compared("model hash", files.sha256(self._root / PACKAGED / MANIFEST), expected)

    def registry(self) -> Iterator[Compared]:
        """A commit's recipe against what its version says of itself."""
        root, said, found = self._root, self._said, self._registered
        if said.reaches("image"):
            yield Compared("name", said.model, said.registry.name)
        if said.version:  # else it was found by its commit
            yield Compared("commit", said.commit, found.commit)
        if said.hash:
            yield Compared("model hash", said.hash, found.hash)
        yield Compared("data", self._data, found.data)
        lock = sha256(recipe.read(root, said.commit, LOCK).encode()).hexdigest()
        yield Compared("service lock", lock, found.lock)

    def bento(self) -> Iterator[Compared]:
        """A version against the Bento of it, whose packages are those of the commit's lock."""
        self._require("bento")
        packed = self._packed
        yield Compared("tag", str(self._said.bento), packed.tag)
        found = self._registered
        yield Compared("version", found.version, packed.version)
        yield Compared("commit", found.commit, packed.commit)
        yield Compared("model hash", found.hash, packed.hash)
        yield Compared("service lock", found.lock, packed.lock)
        wanted = ends.pins(recipe.read(self._root, self._said.commit, LOCK))
        names = {pin.partition("==")[0] for pin in wanted ^ packed.pins}
        for name in sorted(names):
            yield Compared(name, ends.pinned(wanted, name), ends.pinned(packed.pins, name))
        many = f"{len(wanted)} pinned"
        yield Compared("packages", many, f"{len(packed.pins)} others" if names else many)

    def image(self) -> Iterator[Compared]:
        """A Bento against an image's labels, and against what it really holds."""
        self._require("image")
        said, packed, labels = self._said, self._packed, self._labels
        if said.record:
            yield Compared("name", said.model, labels.name)
        yield Compared("version", packed.version, labels.version)
        yield Compared("commit", packed.commit, labels.commit)
        yield Compared("Bento", packed.tag, labels.bento)
        yield Compared("model hash", packed.hash, labels.model_hash)
        yield from self._inside()
        if said.record:
            yield Compared("data", said.record.data, labels.data)
            yield Compared("evidence", said.record.evidence, labels.evidence)

    def _inside(self) -> Iterator[Compared]:
        """A Bento that is here against the one in the image, whose model must be whole anyway."""
        model = image.inside(self._folder)
        if here := self._here():
            yield from image.compared(self._packed, replace(self._held, hash=model))
            yield from image.files(self._folder, here)

    def digest(self) -> Iterator[Compared]:
        """Where a tag leads against the digest that was pinned, or what lies there says it is."""
        self._require("image")
        if self._said.image is None:
            raise NotAsked("a folder has no tag; `make publish` gives it one")
        if self._said.tag:
            yield Compared("tag", self._said.tag, self._labels.bento.rpartition(":")[2])
            return
        tag = (self._said.bento or "").rpartition(":")[2]
        yield Compared(tag, image.digest(self._root, tag), self._said.image)

    def evidence(self) -> Iterator[Compared]:
        """evidence.json against the record that names its digest."""
        return self._deployed().evidence()

    def manifest(self) -> Iterator[Compared]:
        """A record against the rendered file."""
        return self._deployed().manifest()

    def order(self) -> Iterator[Compared]:
        """A release against what staging promoted."""
        return self._deployed().order()

    def running(self) -> Iterator[Compared]:
        """What was declared against what a running service says of itself."""
        said = self._said
        if self._service is None:
            raise NotAsked("no --server was named")
        if said.version is None:
            raise NotAsked("a commit names no version")
        yield from deployed.running(said, self._service.address, self._service.key)
