"""LightGBM as a service needs it: imported without its companions, asked for one row at once."""

import ctypes
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

# Equal input gives equal bytes, on whatever number of processors.
REPEATABLE = {"deterministic": True, "force_col_wise": True, "num_threads": 1, "verbose": -1}
# What LightGBM writes of a tree beside its splits and answers, and where each tree starts.
UNUSED = {
    "tree_sizes",
    "split_gain",
    "leaf_weight",
    "leaf_count",
    "internal_value",
    "internal_weight",
    "internal_count",
}
NORMAL, RAW = 0, 1  # LightGBM's kinds of prediction


@contextmanager
def without(*names: str) -> Iterator[None]:
    """Make imports of `names` fail inside the block."""
    missing = {name: None for name in names if name not in sys.modules}
    sys.modules.update(missing)  # type: ignore[arg-type]  # None is how Python spells it
    try:
        yield
    finally:
        for name in missing:
            del sys.modules[name]


def lightgbm() -> Any:
    """LightGBM without pandas and scikit-learn, which triple the time of its import."""
    with without("pandas", "sklearn"):
        import lightgbm as library
    return library


def plain(booster: Any) -> str:
    """A booster as text with what predictions need and no more: half of LightGBM's own."""
    lines = booster.model_to_string().splitlines(keepends=True)
    return "".join(line for line in lines if line.split("=")[0] not in UNUSED)


def one_row(booster: Any, features: int, kind: int = NORMAL) -> Callable[[Sequence[float]], float]:
    """LightGBM's C function for one row: what `Booster.predict` says, in a third of its time.

    It takes a row's features as plain numbers; `kind` RAW leaves out the objective's last step.
    Source: LightGBM's C API, LGBM_BoosterPredictForMatSingleRowFast.
    """
    from lightgbm.basic import _LIB, _safe_call

    config, length = ctypes.c_void_p(), ctypes.c_int64()
    doubles, chosen, start, rounds = (ctypes.c_int(number) for number in (1, kind, 0, -1))
    init, ask = (
        getattr(_LIB, f"LGBM_BoosterPredictForMatSingleRowFast{name}") for name in ("Init", "")
    )
    width, options = ctypes.c_int(features), ctypes.c_char_p(b"num_threads=1")
    place = ctypes.byref(config)
    _safe_call(init(booster._handle, chosen, start, rounds, doubles, width, options, place))
    size, row = ctypes.byref(length), ctypes.c_double * features

    def output(values: Sequence[float]) -> float:
        answer = ctypes.c_double()  # one a call: threads may ask at once
        _safe_call(ask(config, row(*values), size, ctypes.byref(answer)))
        return answer.value

    return output
