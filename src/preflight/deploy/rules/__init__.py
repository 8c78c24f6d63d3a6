"""The rules of lint-deploy, one subject a module; each docstring is the rule."""

from preflight.deploy.rules import (
    alerts,
    argocd,
    ends,
    judge,
    plan,
    pods,
    releases,
    rights,
    rollout,
    route,
    secrets,
    sizes,
    targets,
    traffic,
    walls,
)

__all__ = [
    "alerts",
    "argocd",
    "ends",
    "judge",
    "plan",
    "pods",
    "releases",
    "rights",
    "rollout",
    "route",
    "secrets",
    "sizes",
    "targets",
    "traffic",
    "walls",
]
