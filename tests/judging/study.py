"""Many rollouts of one scenario, judged at every look, in chunks that fit into memory."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from zlib import crc32

import numpy as np
from numpy.random import Generator, default_rng
from scipy.stats import norm

from judging.rivals import Course, Flags, Rival
from judging.scenarios import Scenario
from preflight.rollout import limits as rollout
from preflight.rollout import simulation
from preflight.rollout.limits import Limits
from preflight.rollout.observed import CANARY, Array

ROOT = Path(__file__).resolve().parents[2]
SEED = 7
CHUNK, JOBS = 50, 2
Courses = Mapping[str, Course]


Made = Callable[[int, Generator], dict[str, Course]]


@dataclass(frozen=True)
class Part:
    """A scenario with who judges it: `made` gives a course a rival, from runs and a generator."""

    name: str
    runs: int
    made: Made
    chunk: int = CHUNK


def load_limits() -> Limits:
    """The limits of this tree's params.yaml."""
    return rollout.load(ROOT / "params.yaml")


@dataclass(frozen=True)
class Shares:
    """Rollouts of share metrics under rivals, by name."""

    scenario: Scenario
    rivals: Mapping[str, Rival]
    limits: Limits

    def __call__(self, runs: int, random: Generator) -> dict[str, Course]:
        """One course a rival, of the same rollouts."""
        made = self.scenario(runs, random)
        sent = made.asked[:, :, CANARY].sum(axis=-1).cumsum(axis=1)
        return {
            name: course(
                [rival(made.asked, each, len(made.failed), self.limits) for each in made.failed],
                sent,
                self.limits,
            )
            for name, rival in self.rivals.items()
        }


def course(flags: Sequence[tuple[Flags, Flags]], sent: Array, limits: Limits) -> Course:
    """Of all metrics together: one that is worse aborts, all must be fine to promote."""
    worse = np.any([each for each, _ in flags], axis=0)
    fine = np.all([each for _, each in flags], axis=0) & (sent >= limits.min_requests)
    aborts, promotes = (
        np.where(held.any(axis=1), held.argmax(axis=1), simulation.NEVER) for held in (worse, fine)
    )
    return Course(aborts, promotes, sent)


def seeded(name: str, place: int) -> Generator:
    """The generator of a chunk: the study's seed, the scenario's name, the chunk's place."""
    return default_rng([SEED, crc32(name.encode()), place])


def ran(parts: Sequence[Part], jobs: int = JOBS) -> Iterator[tuple[str, Courses]]:
    """Courses of each part, as they are done; chunks run side by side."""
    tasks = [
        (part, place, min(part.chunk, part.runs - start))
        for part in parts
        for place, start in enumerate(range(0, part.runs, part.chunk))
    ]
    left = {part.name: sum(task[0] is part for task in tasks) for part in parts}
    done: dict[str, dict[int, dict[str, Course]]] = {part.name: {} for part in parts}
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        waiting = {pool.submit(_chunk, *task): task for task in tasks}
        for each in as_completed(waiting):
            part, place, _ = waiting.pop(each)
            done[part.name][place] = each.result()
            if len(done[part.name]) == left[part.name]:
                found = done.pop(part.name)
                yield part.name, joined([found[key] for key in sorted(found)])


def _chunk(part: Part, place: int, runs: int) -> dict[str, Course]:
    return part.made(runs, seeded(part.name, place))


def joined(chunks: Sequence[Mapping[str, Course]]) -> Courses:
    """The courses of chunks as those of one set of runs."""
    return {
        name: Course(
            *(
                np.concatenate([getattr(chunk[name], field) for chunk in chunks])
                for field in ("aborts", "promotes", "sent")
            )
        )
        for name in chunks[0]
    }


def interval(count: int, whole: int) -> tuple[float, float]:
    """The ends of a share's 95% interval. Source: Wilson (1927)."""
    z = float(norm.isf(0.025))
    middle = (count + z**2 / 2) / (whole + z**2)
    half = z / (whole + z**2) * (count * (whole - count) / whole + z**2 / 4) ** 0.5
    return max(0.0, middle - half), min(1.0, middle + half)
