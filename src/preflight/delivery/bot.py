"""Which commits may touch a release: the bot's nothing else, and nobody's hand a record."""

from collections.abc import Iterator
from pathlib import Path

from preflight.delivery import overlay
from preflight.release import OVERLAYS
from preflight.workspace import run


def refused(root: Path, base: str, head: str, bot: str) -> Iterator[str]:
    """Each commit after `base` up to `head` that may not be, and why, in a sentence.

    The bot's, by the name of author or committer, touch the files of one environment's release
    alone; anybody can bear a name, so whoever asks knows that the bot pushed them. Without a name
    nobody is the bot. Others' touch no record and no evidence, but to bring back an earlier state
    as a rollback does, byte for byte. Raises Problem for what is no commit here.
    """
    listed = run(root, "git", "rev-list", "--reverse", "--end-of-options", f"{base}..{head}")
    for commit in listed.stdout.split():
        touched = _touched(root, commit)
        own = bool(bot) and bot in _names(root, commit)
        if found := _beyond(touched) if own else _by_hand(root, commit, touched):
            yield f"{commit[:12]}: {found}"


def _names(root: Path, commit: str) -> list[str]:
    return run(root, "git", "show", "--no-patch", "--format=%an%n%cn", commit).stdout.split("\n")


def _touched(root: Path, commit: str) -> set[str]:
    """Files that a commit changes; of a merge those that are as neither side has them."""
    words = ("diff-tree", "--no-commit-id", "--name-only", "--no-renames", "--root", "-r", "-c")
    return set(filter(None, run(root, "git", *words, "-z", commit).stdout.split("\0")))


def _beyond(touched: set[str]) -> str | None:
    """What the bot may not touch."""
    environments = sorted({_environment(name) or "" for name in touched} - {""})
    if others := sorted(name for name in touched if not _environment(name)):
        return f"the bot touches {others[0]!a}, no record, evidence or rendered file"
    if len(environments) > 1:
        return f"the bot touches {' and '.join(environments)} at once"
    return None


def _environment(name: str) -> str | None:
    """The environment whose record, evidence or rendered file a path is."""
    path = Path(name)
    found = path.parent.name if path.parent.parent == OVERLAYS else path.stem
    return found if found and name in overlay.places(found) else None


def _by_hand(root: Path, commit: str, touched: set[str]) -> str | None:
    """A record or evidence that is as it never was before."""
    for environment in sorted({_environment(name) or "" for name in touched} - {""}):
        places = overlay.places(environment)
        guarded = sorted(touched.intersection(places[:2]))
        if guarded and not _restored(root, commit, places, touched):
            return f"{guarded[0]} edited by hand: no earlier state, which a rollback brings back"
    return None


def _restored(root: Path, commit: str, places: tuple[str, str, str], touched: set[str]) -> bool:
    """Whether record, rendered file, and evidence if touched, are those of one earlier commit."""
    compared = [name for name in places if name != places[1] or name in touched]
    now = _blobs(root, commit, compared)
    if now[0] is None:  # a record that is deleted
        return False
    parents = run(root, "git", "rev-list", f"{commit}^@", "--", places[0]).stdout.split()
    return any(_blobs(root, each, compared) == now for each in parents)


def _blobs(root: Path, commit: str, names: list[str]) -> list[str | None]:
    asked = ((f"{commit}:{name}",) for name in names)
    done = [run(root, "git", "rev-parse", "--verify", "-q", *each, check=False) for each in asked]
    return [each.stdout.strip() or None for each in done]
