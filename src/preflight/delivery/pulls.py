"""A pull request that is the bot's own branch, into main of the same repository."""

from preflight.delivery.approvals import User
from preflight.errors import Problem
from preflight.evidence import Commit
from preflight.pull_request.github import Answer, GitHub, shown

MAIN = "main"


class Repository(Answer):
    """A repository by its OWNER/NAME."""

    full_name: str


class Side(Answer):
    """The head or the base of a pull request."""

    ref: str
    sha: Commit
    repo: Repository | None


class Pull(Answer):
    """A pull request."""

    number: int
    state: str
    user: User | None
    head: Side
    base: Side


def require_ours(github: GitHub, pull: Pull, bot: str, prefix: str) -> None:
    """Raise Problem for one that is closed, another's, a fork's, or of another branch."""
    for found, expected in (
        (pull.state, "open"),
        (pull.user.login if pull.user else "nobody", bot),
        (pull.head.repo.full_name if pull.head.repo else "no repository", github.repository),
        (pull.head.ref[: len(prefix)], prefix),
        (pull.base.ref, MAIN),
        (pull.base.repo.full_name if pull.base.repo else "no repository", github.repository),
    ):
        if found != expected:
            where, remedy = f"pull request #{pull.number}", "A promotion alone lands so."
            raise Problem(where, shown(found), shown(expected), remedy)
