"""Policy, seeds: a draw that no seed fixes is named."""

import pytest

from changes import change
from preflight.policy import seeds

PATH = "src/taxi/model.py"
NUMPY, STDLIB = "import numpy as np\n", "import random\n"


def named(after: str, before: str = "") -> list[str]:
    """What is said about a source."""
    both = change({PATH: before}, {PATH: after})
    return [each.subject.removeprefix(f"{PATH}: ") for each in seeds.seeds(both)]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (NUMPY + "np.random.default_rng()", "numpy.random.default_rng()"),
        (NUMPY + "np.random.default_rng(None)", "numpy.random.default_rng(None)"),
        (NUMPY + "np.random.default_rng(seed=None)", "numpy.random.default_rng(None)"),
        ("from numpy.random import default_rng as d\nd()", "numpy.random.default_rng()"),
        ("from engine import default_rng\ndefault_rng()", "engine.default_rng()"),
        (NUMPY + "np.random.RandomState()", "numpy.random.RandomState()"),
        (NUMPY + "np.random.SeedSequence()", "numpy.random.SeedSequence()"),
        (NUMPY + "np.random.PCG64()", "numpy.random.PCG64()"),
        (NUMPY + "np.random.seed()", "numpy.random.seed()"),
        (NUMPY + "np.random.normal(0, 1)", "numpy.random.normal"),
        (NUMPY + "draw = np.random.shuffle", "numpy.random.shuffle"),
        ("from numpy import random\nrandom.rand(3)", "numpy.random.rand"),
        (STDLIB + "random.Random()", "random.Random()"),
        (STDLIB + "random.SystemRandom()", "random.SystemRandom()"),
        (STDLIB + "random.choice([1, 2])", "random.choice"),
        ("from random import shuffle\nshuffle([])", "random.shuffle"),
        ("import time\nfit(seed=int(time.time()))", "seed = time.time()"),
        ("import time\nseed = time.time_ns() % 9", "seed = time.time_ns()"),
        ("import os\nkeys = {'seed': os.urandom(4)}", "seed = os.urandom()"),
        ("import secrets\nMY_SEED: int = secrets.randbits(8)", "MY_SEED = secrets.randbits()"),
        ("from uuid import uuid4\nset_seed(uuid4().int)", "seed = uuid.uuid4()"),
        (NUMPY + "import time\nnp.random.default_rng(time.time_ns())", "seed = time.time_ns()"),
    ],
)
def test_a_draw_without_a_seed_is_named(source: str, said: str) -> None:
    assert named(source) == [said]
    assert named(source, source) == []


@pytest.mark.parametrize(
    "source",
    [
        NUMPY + "np.random.default_rng(7).normal()",
        NUMPY + "np.random.default_rng(params.seed)",
        NUMPY + "np.random.default_rng([1, None])",
        NUMPY + "def f(rng: np.random.Generator) -> None: rng.shuffle([])",
        NUMPY + "np.random.Generator(np.random.PCG64(3))",
        STDLIB + "random.Random(3).random()",
        STDLIB + "random.seed(3)",
        "def f(random): return random.choice([1])",
        "import time\nstart = time.time()",
        "import secrets\nvalue = secrets.randbits(74)",
    ],
)
def test_a_seeded_draw_or_no_draw_is_not_named(source: str) -> None:
    assert named(source) == []


def test_a_second_draw_like_one_that_was_there_is_named_with_its_line() -> None:
    one = STDLIB + "a = random.random()\n"
    (said,) = seeds.seeds(change({PATH: one}, {PATH: one + "b = random.random()\n"}))
    assert str(said) == f"draw without a seed: {PATH}: random.random; line 3"


def test_a_test_may_draw_as_it_likes() -> None:
    both = change({}, {"tests/unit/test_x.py": STDLIB + "random.random()"})
    assert list(seeds.seeds(both)) == []


def test_a_source_that_is_no_python_is_named() -> None:
    assert named("def f(:\n") == [PATH]


@pytest.mark.parametrize(
    ("after", "said"),
    [
        ("model: {seed: null}", ["params.yaml: model.seed"]),
        ("model: {}", ["params.yaml: model.seed"]),
        ("model: {seed: 8}", []),
    ],
)
def test_a_seed_taken_out_of_the_parameters_is_named(after: str, said: list[str]) -> None:
    both = change({"params.yaml": "model: {seed: 7}"}, {"params.yaml": after})
    assert [each.subject for each in seeds.seeds(both)] == said
