"""Rendered manifests: what kustomize makes of an overlay, with a release record's values in it.

kustomize always writes placeholders, and our own code the record's values: a release that keeps
its manifests, and every rollback, does without kustomize, to the same bytes.
"""

import re
import shutil
import tarfile
from collections import Counter
from collections.abc import Iterator
from difflib import unified_diff
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from preflight import release
from preflight.errors import NoData, Problem
from preflight.files import replacing
from preflight.layout import STATE
from preflight.release import ANNOTATION, OVERLAYS, RENDERED, Release
from preflight.workspace import run

CONTAINER = "service"
VERSION = "app.kubernetes.io/version"
NONE = f"sha256:{'0' * 64}"
WORD = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")  # a label's value
LINES, WIDTH = 40, 100  # of a difference that is shown
Place = tuple[yaml.ScalarNode, str, str]  # a value, the text before it, what is to stand there


def renderable(root: Path) -> tuple[str, ...]:
    """Environments that have an overlay, in alphabetic order."""
    return tuple(
        sorted(each.parent.name for each in (root / OVERLAYS).glob("*/kustomization.yaml"))
    )


def rendered(root: Path, environment: str) -> str:
    """An environment's manifests, from the commit that its record names; before that, unreleased.

    Without a record those of the working tree. Raises NoData without kustomize, and Problem for
    an environment without overlay and a commit that this clone has not.
    """
    if environment not in (known := renderable(root)):
        found = f"{environment!r}, which has no overlay"
        raise Problem(str(OVERLAYS), found, f"one of {', '.join(known)}", "Name one of them.")
    record, where = release.current(root, environment), RENDERED.format(environment=environment)
    if record is None:
        return released(_built(root, root, environment), None, where)
    with TemporaryDirectory(prefix="preflight-") as scratch:
        _export(root, record.manifests, Path(scratch))
        return released(_built(root, Path(scratch), environment), record, where)


def written(root: Path, environment: str) -> bool:
    """Write an environment's rendered file anew; whether that changed it."""
    text = rendered(root, environment).encode()
    path = root / RENDERED.format(environment=environment)
    if path.is_file() and path.read_bytes() == text:
        return False
    with replacing(path) as partial:
        partial.write_bytes(text)
    return True


def pinned(root: Path, environment: str) -> str | None:
    """A sentence where the tree's manifests differ from those that the record names; else None."""
    record = release.current(root, environment)
    if record is None:
        return None
    sources = ("deploy/base", "deploy/components", str(OVERLAYS / environment))
    files = (each.format(environment=environment) for each in (release.PLACE, release.EVIDENCE))
    own = (f":(exclude){each}" for each in files)
    compared = ("git", "diff", "--quiet", record.manifests, "--", *sources, *own)
    if run(root, *compared, check=False).returncode != 1:
        return None
    return (
        f"{environment}: from the manifests of {record.manifests[:7]}, release {record.id}; a "
        "change of deploy/ reaches it when a record's `manifests` moves"
    )


def difference(root: Path, environment: str) -> str:
    """How the committed file differs from one rendered anew, cut to a screen; empty if it is it."""
    path = root / RENDERED.format(environment=environment)
    kept = path.read_bytes().decode() if path.is_file() else ""
    both = [each.splitlines(keepends=True) for each in (kept, rendered(root, environment))]
    names = (str(path.relative_to(root)), f"preflight render {environment}")
    found = unified_diff(both[0], both[1], *names, n=1)
    lines = [line.removesuffix("\n").replace("\r", "\\r")[:WIDTH] for line in found]
    more = [f"... and {len(lines) - LINES:,} lines more"] if len(lines) > LINES else []
    return "\n".join([*lines[:LINES], *more])


def released(text: str, record: Release | None, where: str = "the rendered manifests") -> str:
    """A rendered text with the record's digest, version and release id, or the placeholders.

    They stand in the Rollout: the image of the container `service`, and a label and an annotation
    on it and on its pod template. Raises Problem for a text in which one of these places is
    missing, or that has another. A shadow's image is another, the manifests' own.
    """
    if record and not WORD.fullmatch(record.model.version):
        expected = "at most 63 letters, digits, dots, dashes and underscores"
        remedy = "Kubernetes takes no other as a label; register it under another name."
        raise Problem("model.version", repr(record.model.version), expected, remedy)
    try:
        places = _places(text, record, where)
    except yaml.YAMLError as error:
        raise _odd(where, " ".join(str(error).split()), "YAML") from None
    parts, end = [], 0
    for node, _, value in places:
        parts += [text[end : node.start_mark.index], value]
        end = node.end_mark.index
    return "".join([*parts, text[end:]])


def _places(text: str, record: Release | None, where: str) -> list[Place]:
    """Each place in order, with the value that belongs there; raises Problem for other ones."""
    wholes = yaml.compose_all(text, Loader=yaml.CSafeLoader)
    rollouts = [each for each in wholes if _scalar(each, "kind") == "Rollout"]
    if len(rollouts) != 1:
        raise _odd(where, f"{len(rollouts)} Rollouts", "exactly one")
    found = list(_of(rollouts[0], record, f"{where}: Rollout"))
    for key, many in Counter(key for _, key, _ in found).items():
        if (others := text.count(key)) != many:  # a value that stands elsewhere would stay there
            raise _odd(where, f"{key!r} {others} times", f"{many}, each in a known place")
    return sorted(found, key=lambda place: place[0].start_mark.index)


def _of(rollout: yaml.Node, record: Release | None, where: str) -> Iterator[Place]:
    if (image := _image(rollout)) is None:
        raise _odd(where, f"no image of the container {CONTAINER}", "one by its digest")
    name, at, digest = image.value.partition("@")
    if not digest.startswith("sha256:"):
        raise _odd(where, f"image {image.value}", "one by its digest")
    yield image, name + at, f"{name}@{record.image if record else NONE}"
    for above in ((), ("spec", "template")):
        for part, key, value in (
            ("labels", VERSION, f'"{record.model.version}"' if record else '"0"'),
            ("annotations", ANNOTATION, f'"{record.id}"' if record else "none"),
        ):
            keys = (*above, "metadata", part, key)
            found = _node(rollout, *keys)
            if not isinstance(found, yaml.ScalarNode):
                raise _odd(where, f"no {'.'.join(keys)}", "a place for the record's value")
            yield found, f"{key}:", value


def _image(whole: yaml.Node) -> yaml.ScalarNode | None:
    """The image of the container `service` of an object's pods."""
    found = _node(whole, "spec", "template", "spec", "containers")
    for each in found.value if isinstance(found, yaml.SequenceNode) else ():
        image = _node(each, "image")
        if _scalar(each, "name") == CONTAINER and isinstance(image, yaml.ScalarNode):
            return image
    return None


def _node(node: yaml.Node | None, *keys: str) -> yaml.Node | None:
    """What stands under keys in a mapping, None without."""
    for key in keys:
        pairs = node.value if isinstance(node, yaml.MappingNode) else ()
        node = next((value for name, value in pairs if name.value == key), None)
    return node


def _scalar(node: yaml.Node, key: str) -> str | None:
    found = _node(node, key)
    return str(found.value) if isinstance(found, yaml.ScalarNode) else None


def _odd(where: str, found: str, expected: str) -> Problem:
    return Problem(where, found, expected, "Mend deploy/, and render it anew: preflight render.")


def _built(root: Path, tree: Path, environment: str) -> str:
    made = run(tree, _tool(root), "build", str(OVERLAYS / environment), check=False)
    if made.returncode:
        # It says the same once for each level it came through, the innermost last.
        said = " ".join(made.stderr.split()).rpartition(" : ")[2].rpartition("': ")[2]
        where = f"kustomize build {OVERLAYS / environment}"
        found = said.replace(f"{tree.resolve()}/", "").removeprefix("Error: ") or "a failure"
        raise Problem(where, found, "manifests", "Mend what it names in deploy/.")
    return made.stdout


def _tool(root: Path) -> str:
    """The pinned kustomize, else the path's; both need no network."""
    own = root / STATE / "go/kustomize"
    if found := str(own) if own.is_file() else shutil.which("kustomize"):
        return found
    raise NoData("kustomize", "no such program", "it, to render manifests", "Run `make tools`.")


def _export(root: Path, commit: str, folder: Path) -> None:
    """The folder deploy/ of a commit."""
    packed = folder / "deploy.tar"
    made = ("git", "archive", "--format=tar", f"--output={packed}", commit, "deploy")
    if run(root, *made, check=False).returncode:
        raise Problem(
            f"manifests {commit[:12]}",
            "no deploy/ of that commit in this clone",
            "the commit that the release record names",
            "Run `git fetch --unshallow`; if it is there, the record is wrong.",
        )
    with tarfile.open(packed) as tar:
        tar.extractall(folder, filter="data")
