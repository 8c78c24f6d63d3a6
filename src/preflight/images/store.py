"""Where images are kept, by digest, under tags that nobody moves: a folder, or a registry."""

import re
from abc import ABC, abstractmethod
from pathlib import Path

from preflight.errors import Problem
from preflight.images import layout

REGISTRY = "docker://"
TAGS = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
DIGESTS = r"sha256:[0-9a-f]{64}"


class Store(ABC):
    """Images by digest, and tags that name each one for ever."""

    place: str

    @abstractmethod
    def digest(self, tag: str) -> str | None:
        """The digest that a tag names; None where there is no such tag."""

    @abstractmethod
    def fetch(self, digest: str, folder: Path) -> Path:
        """Bring an image into `folder` as a layout of its own; raises Problem where it is not."""

    @abstractmethod
    def _put(self, folder: Path, tag: str) -> None:
        """Bring a layout's image there, under a tag that is new or names that image already."""

    def push(self, folder: Path, tag: str) -> str:
        """Bring a layout's image there under `tag`, and read it again; returns its digest.

        What is there already stays as it is. Raises Problem where the tag names another image,
        and where the store then holds another than was sent.
        """
        require_name(TAGS, tag, self.place)
        layout.check(folder)
        own = layout.digest(folder)
        self._compare(tag, own, "Tags are never moved: release a new commit.", absent=True)
        self._put(folder, tag)
        self._compare(tag, own, "The store keeps something else than it is sent: look there.")
        return own

    def _compare(self, tag: str, wanted: str, remedy: str, *, absent: bool = False) -> None:
        found = self.digest(tag)
        if found != wanted and not (absent and found is None):
            raise Problem(f"{self.place}: tag {tag}", found or "no image", wanted, remedy)


def of(root: Path) -> Store:
    """The store that params.yaml names: `registry.images`."""
    from preflight import params
    from preflight.images.folder import Folder
    from preflight.images.registry import Registry

    named = params.load(root / "params.yaml").registry.images
    return Registry(named) if named.startswith(REGISTRY) else Folder(root / named)


def require_name(pattern: str, found: str, where: str) -> None:
    """Refuse a tag, a digest or an address that could be read as something else."""
    if not re.fullmatch(pattern, found):
        raise Problem(where, repr(found), f"a name like {pattern}", "Name another.")
