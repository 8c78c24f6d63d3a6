"""What happened, step by step: a line on the terminal for each, and a table at the end."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

log = logging.getLogger("preflight")


@dataclass
class Journal:
    """What happened in `what`: name, words and seconds of each step."""

    what: str
    steps: list[tuple[str, str, float]] = field(default_factory=list)

    @contextmanager
    def step(self, name: str) -> Iterator[Callable[[str], None]]:
        """Time a block; the yielded function takes the words for the table."""
        log.info("%s: %s …", self.what, name)
        said: list[str] = []
        start = time.monotonic()
        yield said.append
        self.steps.append((name, said[-1] if said else "", time.monotonic() - start))

    def seconds(self, last: str | None = None) -> float:
        """Of all steps, or of those up to the one named `last`."""
        names = [name for name, *_ in self.steps]
        until = names.index(last) + 1 if last else len(names)
        return sum(seconds for *_, seconds in self.steps[:until])

    def show(self) -> None:
        """Print the table."""
        width = max(len(name) for name, *_ in self.steps)
        log.info("")
        for name, said, seconds in self.steps:
            log.info("%-*s  %6.1f s  %s", width, name, seconds, said)
        log.info("%-*s  %6.1f s", width, "all", self.seconds())


def near(path: Path, root: Path) -> Path:
    """A path as somebody in `root` would write it."""
    return path.relative_to(root) if path.is_relative_to(root) else path
