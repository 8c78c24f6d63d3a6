"""Manifests: the objects of a YAML file, a key of theirs twice refused."""

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from preflight.errors import Problem

Object = Mapping[str, Any]
REMEDY = "Mend the file, or render it anew."


@dataclass(frozen=True)
class Manifests:
    """Kubernetes objects in their file's order; `where` names the file in errors."""

    where: str
    objects: tuple[Object, ...]

    def all(self, kind: str) -> tuple[Object, ...]:
        """Every object of a kind."""
        return tuple(each for each in self.objects if each["kind"] == kind)

    def one(self, kind: str, name: str | None = None) -> Object:
        """The object of a kind, of this name if one is given; raises Problem unless it is one."""
        found = [each for each in self.all(kind) if name in (None, each["metadata"]["name"])]
        if len(found) == 1:
            return found[0]
        what = f"{kind}/{name}" if name else kind
        raise Problem(self.where, f"{len(found)} of {what}", "exactly one", REMEDY)

    def named(self, kind: str, name: str) -> Object | None:
        """The object of a kind and name, None without."""
        found = (each for each in self.all(kind) if each["metadata"]["name"] == name)
        return next(found, None)


class _Strict(yaml.CSafeLoader):
    """As the safe loader, but a key twice in one mapping is an error: YAML would drop the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """A mapping; raises ConstructorError at the second of two equal keys."""
        known: set[Any] = set()
        for key, _ in node.value:
            if key.value in known:
                words = f"the key {key.value!r} twice"
                raise yaml.constructor.ConstructorError(None, None, words, key.start_mark)
            known.add(key.value)
        return super().construct_mapping(node, deep)


# Kubernetes knows no dates: to it 2026-01-01 is text.
_Strict.yaml_implicit_resolvers = {
    first: [each for each in known if each[0] != "tag:yaml.org,2002:timestamp"]
    for first, known in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def documents(text: str, where: str) -> Iterator[Any]:
    """Every document of a YAML text, empty ones left out; raises Problem with the line."""
    try:
        for each in yaml.load_all(text, Loader=_Strict):
            if each is not None:
                yield each
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise Problem(f"{where}{line}", error.problem or "no YAML", "YAML", REMEDY) from None
    except yaml.YAMLError as error:
        raise Problem(where, " ".join(str(error).split()), "YAML", REMEDY) from None


def parse(text: str, where: str) -> Manifests:
    """The objects of a text, those of a List among them; raises Problem for what is none."""
    return gathered(documents(text, where), where)


def gathered(wholes: Iterable[Any], where: str) -> Manifests:
    """The objects of some documents, as `parse`."""
    found: list[Object] = []
    for number, each in enumerate(wholes, 1):
        found += _objects(each, f"{where}, document {number}")
    seen: set[tuple[str, str, str, str]] = set()
    for each in found:
        if (name := identity(each)) in seen:
            words = f"{label(each)} twice"
            raise Problem(where, words, "each object once", "Delete one of them.")
        seen.add(name)
    return Manifests(where, tuple(found))


def read(path: Path) -> Manifests:
    """The objects of one file; raises Problem where it cannot be read or holds none."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        remedy = "Render it: preflight render."
        raise Problem(str(path), "no readable file", "manifests", remedy) from None
    return parse(text, str(path))


def label(each: Object) -> str:
    """As people name an object: Service/taxi-canary."""
    return f"{each['kind']}/{each['metadata']['name']}"


def identity(each: Object) -> tuple[str, str, str, str]:
    """What no two objects have in common: group, kind, namespace and name."""
    group = each["apiVersion"].rpartition("/")[0]
    metadata = each["metadata"]
    return group, each["kind"], metadata.get("namespace", ""), metadata["name"]


def _objects(each: Any, where: str) -> list[Object]:
    if isinstance(each, dict) and each.get("kind") == "List":
        items = each.get("items") or []
        return [known for item in items for known in _objects(item, where)]
    texts = isinstance(each, dict) and [each.get("apiVersion"), each.get("kind"), _name(each)]
    if not texts or not all(isinstance(text, str) and text for text in texts):
        raise Problem(where, "no object", "apiVersion, kind and metadata.name", REMEDY)
    return [each]


def _name(each: Mapping[str, Any]) -> Any:
    metadata = each.get("metadata")
    return metadata.get("name") if isinstance(metadata, dict) else None
