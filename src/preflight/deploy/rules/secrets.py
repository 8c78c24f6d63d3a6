"""The rule of secrets: what stands in Git that should not."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from preflight.deploy import manifests
from preflight.deploy.manifests import Object
from preflight.deploy.pods import containers
from preflight.deploy.tree import Finding, Tree

SECRET_NAME = re.compile(
    r"(?i)(^|[_.-])(api_?key|key|token|password|passwd|secret|credentials?)($|[_.-])"
)
PLAIN = re.compile(r"(?i)|true|false|\d+(\.\d+)?|/[\w./-]*|\$\([A-Z_]+\)|https?://[^@\s]*")
SECRET_VALUE = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{30,}"
    r"|\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{10,}|://[^/\s:@]+:[^/\s:@$]+@|\bxox[baprs]-[\w-]{10,}"
)
EXPECTED, REMEDY = "the name of a Secret", "Take it out, and change it: Git forgets nothing."
FOUND = "what looks like a value"


def secrets(tree: Tree) -> Iterator[Finding]:
    """No secret's value stands in Git: manifests name a Secret, and what fills it is elsewhere."""
    for file in tree.files:
        for each in file.manifests.objects:
            for field in _values(each):
                yield file.finding(each, field, FOUND, EXPECTED, REMEDY)
    rendered = {str(tree.root / each.manifests.where) for each in tree.environments}
    for path in sorted((tree.root / "deploy").rglob("*.y*ml")):
        if str(path) not in rendered:
            yield from _beside(tree, path)


def _beside(tree: Tree, path: Path) -> Iterator[Finding]:
    """Of what is rendered from a file, or that a tool reads: what is no object of the tree."""
    where = str(path.relative_to(tree.root))
    known = [
        each
        for file in tree.platform
        if file.manifests.where == where
        for each in file.manifests.objects
    ]
    for whole in manifests.documents(path.read_text(encoding="utf-8"), where):
        if whole in known:
            continue
        if isinstance(whole, dict) and "secretGenerator" in whole:
            found = "a generator of Secrets"
            yield Finding(where, "", "secretGenerator", found, EXPECTED, REMEDY)
        for field in _values(whole if isinstance(whole, dict) else {"": whole}):
            yield Finding(where, "", field, FOUND, EXPECTED, REMEDY)


def _values(each: Object) -> Iterator[str]:
    """Fields of an object that hold a secret's value."""
    if each.get("kind") == "Secret":
        yield from (field for field in ("data", "stringData") if each.get(field))
        return
    named = {*_named(each), *_configured(each)}
    yield from sorted(named)
    for field, value in _texts(each):
        if SECRET_VALUE.search(value) and field not in named:
            yield field


def _named(each: Object) -> Iterator[str]:
    """Variables and arguments that are called as secrets are, and have a value."""
    for place, container in containers(each):
        for variable in container.get("env") or ():
            value = variable.get("value")
            if value is not None and _tells(variable["name"], str(value)):
                yield f"{place}.env.{variable['name']}"
        for key in ("command", "args"):
            given = [str(word) for word in container.get(key) or ()]
            told = enumerate(zip(given, [*given[1:], ""], strict=False))
            yield from (f"{place}.{key}.{at}" for at, pair in told if _option(*pair))


def _option(word: str, after: str) -> bool:
    """Whether a word gives a secret's value, or names one that the next word is."""
    name, equals, value = word.partition("=")
    if equals:
        return _tells(name, value)
    return word.startswith("-") and not after.startswith("-") and _tells(word, after)


def _configured(each: Object) -> Iterator[str]:
    """Entries of a ConfigMap that are called as secrets are."""
    for name, value in (each.get("data") or {}).items() if each.get("kind") == "ConfigMap" else ():
        if _tells(name, str(value)):
            yield f"data.{name}"


def _tells(name: str, value: str) -> bool:
    return bool(SECRET_NAME.search(name)) and not PLAIN.fullmatch(value)


def _texts(value: Any, field: str = "") -> Iterator[tuple[str, str]]:
    """Every text in plain data, with its dotted field."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _texts(inner, f"{field}.{key}" if field else str(key))
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from _texts(inner, f"{field}.{at}")
    elif isinstance(value, str):
        yield field, value
