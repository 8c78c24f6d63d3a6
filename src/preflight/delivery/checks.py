"""The required check of a commit: GitHub Actions' own, and the newest run of it."""

from preflight.errors import Problem
from preflight.pull_request.github import Answer, GitHub, shown

CHECK, ACTIONS = "decide", 15368  # as .github/rulesets/main.json requires it, by its app


class App(Answer):
    """Who made a check."""

    id: int


class Check(Answer):
    """One run of a check."""

    id: int
    name: str
    status: str
    conclusion: str | None
    app: App | None


class Checks(Answer):
    """A page of them."""

    check_runs: tuple[Check, ...]


def require_green(github: GitHub, commit: str) -> None:
    """Raise Problem where the check's newest run on a commit is no success, or not there."""
    path = f"commits/{commit}/check-runs"
    runs = github.get(Checks, path, check_name=CHECK, filter="latest", per_page=100).check_runs
    own = [each for each in runs if each.name == CHECK and each.app and each.app.id == ACTIONS]
    last = max(own, key=lambda each: each.id, default=None)
    if last is None or (last.status, last.conclusion) != ("completed", "success"):
        found = "none" if last is None else shown(last.conclusion or last.status)
        where = f"check {CHECK} of {commit[:12]}"
        raise Problem(where, found, "success", "Wait for it, or mend what it names.")
