"""A bare remote and its clone, with two environments before their first release."""

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from conftest import ROOT, commit, git
from fake_github import green
from preflight import evidence, release
from preflight.delivery import draft, staging
from preflight.delivery.draft import Draft
from preflight.delivery.settling import End, Ended, settle
from preflight.deploy.rendering import released
from preflight.evidence import Part
from preflight.files import replacing
from preflight.gates import REQUIRED
from preflight.release import RENDERED, Release
from preflight.ruleset import RULESET
from released import TEXT, started

ENVIRONMENTS = ("staging", "production")
ANALYSIS = """\
---
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata:
  name: judged
spec:
  args:
  - name: stable
  - name: canary
  metrics:
  - name: verdict
    count: 1
    provider:
      web:
        jsonPath: '{$.result}'
        url: http://judge:8080/v1/verdict?rollout=taxi&stable={{args.stable}}&canary={{args.canary}}
"""
Copied = Callable[[], Path]


def world(place: Path) -> Path:
    """A bare repository `remote.git` below `place`, and its clone, which is returned."""
    first = started(place / "first")
    (first / ".gitignore").write_text("/reports/\n/.preflight/\n")
    (first / RULESET).parent.mkdir(parents=True)
    shutil.copy(ROOT / RULESET, first / RULESET)
    for name in ENVIRONMENTS:
        overlay = first / f"deploy/overlays/{name}/kustomization.yaml"
        rendered = first / RENDERED.format(environment=name)
        for path in (overlay, rendered):
            path.parent.mkdir(parents=True, exist_ok=True)
        overlay.write_text("resources: []\n")
        rendered.write_text(released(TEXT + ANALYSIS, None))
    commit(first, "Deploy")
    git(first, "clone", "--quiet", "--bare", str(first), str(place / "remote.git"))
    shutil.rmtree(first)
    return cloned(place, "clone")


def cloned(place: Path, name: str) -> Path:
    """One more clone of the remote below `place`, of a user named Ada."""
    root = place / name
    git(place, "clone", "--quiet", str(place / "remote.git"), str(root))
    git(root, "config", "user.name", "Ada")
    git(root, "config", "user.email", "ada@localhost")
    return root


def copied(clone: Path, place: Path) -> Path:
    """A copy of a clone and its remote; returns the clone."""
    shutil.copytree(clone.parent, place, symlinks=True)
    root = place / clone.name
    git(root, "remote", "set-url", "origin", str(place / "remote.git"))
    return root


def merged(root: Path, name: str = "change") -> str:
    """A change comes to the remote's main; returns its commit."""
    git(root, "pull", "--quiet", "--ff-only")
    (root / name).write_text(name)
    commit(root, f"Change {name} (#7)")
    git(root, "push", "--quiet", "origin", "main")
    return git(root, "rev-parse", "HEAD").strip()


def green_parts(head: str) -> tuple[Part, ...]:
    """Every required gate's green part of a commit."""
    return tuple(green(head, gate) for gate in REQUIRED)


def drafted(root: Path, version: str, parts: Iterable[Part] | None = None) -> Draft:
    """The draft of HEAD as a version, and its evidence."""
    head = git(root, "rev-parse", "HEAD").strip()
    held = tuple(parts or green_parts(head))
    made = Draft(
        model=release.ReleasedModel(name="taxi-duration", version=version, hash=version * 64),
        commit=head,
        data="d" * 64,
        evidence=evidence.digest(held),
        bento=f"taxi:v{version}-{head[:12]}",
        image=f"sha256:{version * 64}",
        who="Ada",
        artifacts="rebuilt",
        run=None,
        pull_request=7,
    )
    draft.write(root, made)
    with replacing(root / draft.EVIDENCE) as partial:
        partial.write_text(evidence.packed(held))
    return made


def staged(root: Path, version: str) -> Release:
    """A merged change, released in staging."""
    merged(root, f"change-{version}")
    drafted(root, version)
    return staging.stage(root).release


def settled(
    root: Path, name: str, verdict: Ended = "promoted", environment: str = "staging"
) -> list[str]:
    """What is said when a release's rollout has ended."""
    return list(settle(root, End(environment, name, verdict, "all metrics fine"), {}))


def promoted(root: Path, version: str) -> Release:
    """A release that staging promoted."""
    found = staged(root, version)
    settled(root, found.id)
    return found


def main(root: Path) -> str:
    """The commit of the remote's main."""
    return git(root, "ls-remote", "origin", "refs/heads/main").split()[0]


def touched(root: Path, made: str) -> list[str]:
    """The files that a commit changes."""
    git(root, "fetch", "--quiet", "origin")
    return git(root, "show", "--format=", "--name-only", made).split()


def untouched(root: Path) -> tuple[str, str, str]:
    """What a failure must leave: status, branches, HEAD and worktrees."""
    status = git(root, "status", "--porcelain")
    names = git(root, "for-each-ref", "--format=%(refname)", "refs/heads")
    return status, names, git(root, "worktree", "list")


def refusing(remote: Path, words: str = "no") -> None:
    """Let a remote refuse every push."""
    hook = remote / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\necho {words} >&2\nexit 1\n")
    hook.chmod(0o755)


def template(tmp_path_factory: pytest.TempPathFactory, *versions: str) -> Path:
    """A clone in whose staging versions were promoted one after another."""
    root = world(tmp_path_factory.mktemp("delivered"))
    for version in versions:
        promoted(root, version)
    return root
