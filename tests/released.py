"""Scratch repositories with releases, each committed with its rendered file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from conftest import commit, git
from preflight.deploy.rendering import NONE, released
from preflight.evidence import Part, packed
from preflight.release import EVIDENCE, PLACE, RENDERED, Release
from records import record

# As kustomize writes it, and with an é, as places are counted in characters.
TEXT = f"""\
apiVersion: v1
kind: Service
metadata:
  annotations:
    about: café
  name: taxi-stable
  namespace: taxi-production
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: judge
spec:
  template:
    spec:
      containers:
      - image: registry.example/judge@{NONE}
        name: judge
---
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata:
  annotations:
    preflight/release: none
  labels:
    app.kubernetes.io/version: "0"
  name: taxi
  namespace: taxi-production
spec:
  template:
    metadata:
      annotations:
        preflight/release: none
      labels:
        app: taxi
        app.kubernetes.io/version: "0"
    spec:
      containers:
      - image: registry.example/proxy@{NONE}
        name: proxy
      - image: registry.example/taxi@{NONE}
        name: service
"""


def release_of(version: str, verdict: str = "promoted", **fields: Any) -> Release:
    """The record of a version, whose commit, image and model repeat it."""
    model = {"name": "taxi-duration", "version": version, "hash": version * 64}
    image = f"sha256:{version * 64}"
    parts = {"model": model, "commit": version * 40, "image": image, **fields}
    return Release.model_validate(record(verdict, **parts))


def started(root: Path) -> Path:
    """A repository of a user named Ada, with main and one commit."""
    root.mkdir(exist_ok=True)
    git(root, "init", "--quiet", "--initial-branch=main")
    git(root, "config", "user.name", "Ada")
    git(root, "config", "user.email", "ada@localhost")
    (root / "dvc.lock").write_text("stages: {}\n")
    commit(root, "Begin")
    return root


def release(root: Path, found: Release, text: str = TEXT, parts: Sequence[Part] = ()) -> str:
    """Commit a release's record and rendered file, and its evidence if any; returns the commit."""
    place, rendered = (
        root / each.format(environment=found.environment) for each in (PLACE, RENDERED)
    )
    for path in (place, rendered):
        path.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(yaml.safe_dump(found.model_dump(mode="json")))
    rendered.write_text(released(text, found))
    if parts:
        (root / EVIDENCE.format(environment=found.environment)).write_text(packed(parts))
    commit(root, f"Release {found.id}, {found.rollout.verdict}")
    return git(root, "rev-parse", "HEAD").strip()
