"""Rollback in Git: an earlier release's record and rendered file again, byte for byte.

Who did it, and why, stands in the commit's message: in the files it would make them others.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from preflight import release
from preflight.errors import Problem
from preflight.release import PLACE, RENDERED, Recorded, Release
from preflight.workspace import run

SHOWN = 10  # releases that an error lists
SHORT = 7  # least digits of a commit


@dataclass(frozen=True)
class Rollback:
    """From which release of an environment to which earlier one, as a commit holds that."""

    environment: str
    now: Release
    to: Recorded

    @property
    def places(self) -> tuple[str, str]:
        """The two files that it touches, relative to the checkout."""
        return (
            PLACE.format(environment=self.environment),
            RENDERED.format(environment=self.environment),
        )


def chosen(root: Path, environment: str, to: str | None = None) -> Rollback:
    """The way back to `to`: a release id, model version or commit; else to the one before.

    A commit is the model's, or the one in Git that holds the record. The one before is what had
    been promoted before the current release was, without what was rolled back from; while the
    current one is pending or aborted, the last promoted. Raises Problem for an environment
    without release, and for a release that is unknown, the current one, or never promoted.
    """
    known = list(release.recorded(root, environment, "HEAD"))
    if not known or release.current(root, environment) is None:
        place = PLACE.format(environment=environment)
        raise Problem(place, "no release record", "that of a release", "Release something first.")
    now = known[0].release
    return Rollback(environment, now, _named(known, to) if to else _before(known))


def _before(known: Sequence[Recorded]) -> Recorded:
    now = known[0].release
    found = [each for each in _standing(known) if each.release.deploys != now.deploys]
    if found:
        return found[-1]
    raise Problem(
        f"the release before {now.id}",
        "none that was promoted and not rolled back from",
        "an earlier one",
        f"Name one by --to: {_listed(each for each in known if each.release.id != now.id)}.",
    )


def _standing(known: Sequence[Recorded]) -> list[Recorded]:
    """Promoted releases, first to last: who goes back to one leaves those after it behind."""
    found: list[Recorded] = []
    for each in reversed(known):
        if each.release.rollout.verdict == "promoted":
            names = [one.release.deploys for one in found]
            kept = names.index(each.release.deploys) if each.release.deploys in names else None
            found = [*found[:kept], each]
    return found


def _named(known: Sequence[Recorded], word: str) -> Recorded:
    """The newest promoted one of that name that is not there now."""
    now = known[0].release
    found = [each for each in known if _is(each, word)]
    if not found:
        remedy = f"Known are {_listed(known)}."
        raise Problem(f"release {word}", "no record of it", "an earlier release", remedy)
    others = [each for each in found if each.release.deploys != now.deploys]
    if not others:
        remedy = f"Nothing is to be done; others are {_listed(known)}."
        raise Problem(f"release {word}", "the one that is there now", "another one", remedy)
    for each in others:
        if each.release.rollout.verdict == "promoted":
            return each
    verdict = others[0].release.rollout.verdict
    remedy = f"Known are {_listed(known)}."
    raise Problem(f"release {word}", f"one that never was promoted, but {verdict}", "one", remedy)


def _is(each: Recorded, word: str) -> bool:
    by_commit = len(word) >= SHORT and any(
        commit.startswith(word.lower()) for commit in (each.release.commit, each.at)
    )
    return by_commit or word in (each.release.id, each.release.model.version)


def _listed(known: Iterable[Recorded]) -> str:
    """Promoted releases, newest first."""
    ids = [each.release.id for each in known if each.release.rollout.verdict == "promoted"]
    found = list(dict.fromkeys(ids))
    return ", ".join(found[:SHOWN]) + (", …" if found[SHOWN:] else "") if found else "none"


def require_ready(root: Path, plan: Rollback, *, in_flight: bool = False) -> None:
    """Raise Problem while a rollout is in flight, unless told, and for a dirty tree.

    Also where the files of that time do not belong together.
    """
    if plan.now.rollout.verdict == "pending" and not in_flight:
        raise Problem(
            f"release {plan.now.id} in {plan.environment}",
            "a rollout in flight",
            "its verdict in the record, promoted or aborted",
            "Wait for it; or say --in-flight: going back to what stable still runs is instant, and "
            "takes no steps.",
        )
    if changed := run(root, "git", "status", "--porcelain", "--untracked-files=no").stdout:
        names = ", ".join(line[3:] for line in changed.splitlines()[:3])
        remedy = "Commit or stash them."
        raise Problem("the working tree", f"uncommitted changes ({names})", "none", remedy)
    shown = run(root, "git", "show", f"{plan.to.at}:{plan.places[1]}", check=False)
    if shown.returncode or plan.to.release.image not in shown.stdout:
        raise Problem(
            f"{plan.places[1]} at {plan.to.at[:12]}",
            "a file that does not run the image of its record" if shown.stdout else "no file",
            f"{plan.to.release.image[:19]}…",
            "Name another release by --to.",
        )


def rolled_back(root: Path, plan: Rollback, why: str, who: str, branch: str | None = None) -> str:
    """Commit both files as they were, here or on a new branch; returns the commit.

    It needs Git alone. Raises Problem for what `require_ready` did not allow; whatever fails or
    interrupts it, the tree and its branch stay as they were.
    """
    words = _message(plan, _line("--why", why), _line("--who", who))
    if branch:
        run(root, "git", "switch", "--quiet", "--create", branch)
    try:
        run(root, "git", "checkout", "--quiet", plan.to.at, "--", *plan.places)
        # Both files were committed before, as they are now: no hook has anything to add.
        commit = ("git", "commit", "--quiet", "--no-verify")
        run(root, *commit, *(f"--message={each}" for each in words), "--", *plan.places)
    except BaseException:
        back = ("git", "restore", "--source=HEAD", "--staged", "--worktree", "--")
        run(root, *back, *plan.places, check=False)
        if branch:
            run(root, "git", "checkout", "--quiet", "-", check=False)
            run(root, "git", "branch", "--quiet", "-D", branch, check=False)
        raise
    return run(root, "git", "rev-parse", "HEAD").stdout.strip()


def _message(plan: Rollback, why: str, who: str) -> tuple[str, ...]:
    """Its paragraphs; the last one is trailers, which `git log --format=%(trailers)` reads."""
    now, to = plan.now, plan.to
    return (
        f"Roll {plan.environment} back to {to.release.id}",
        f"Record and rendered file are those of commit {to.at[:12]}, byte for byte.\n"
        f"The release that they replace was {now.rollout.verdict}.",
        f"Rolled-back-from: {now.id}\nRolled-back-to: {to.release.id}\n"
        f"Restored-from: {to.at}\nReason: {why}\nBy: {who}",
    )


def _line(option: str, text: str) -> str:
    """One line, as a trailer is; another line of it could be read as a trailer of its own."""
    found = "".join(each for each in " ".join(text.split()) if each.isprintable())
    if not found:
        raise Problem(option, "nothing", "words for who reads the history", "Say them.")
    return found
