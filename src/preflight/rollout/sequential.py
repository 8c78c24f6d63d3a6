"""Evidence that may be looked at any time: mixtures of likelihood ratios.

An e-process starts at 1 and, where its null hypothesis holds, ever passes `1 / alpha` with
probability alpha at most (Ville 1939), however often one looks.
"""

import numpy as np
from scipy.special import log_ndtr

from preflight.rollout.observed import Array


def mixed(logs: Array, weights: Array) -> Array:
    """Log of the weighted mean of exp(logs) over the last axis; weights need not sum to 1."""
    some = weights > 0
    logs, share = logs[..., some], weights[some] / weights.sum()
    top = logs.max(axis=-1, keepdims=True)
    found: Array = top[..., 0] + np.log(np.exp(logs - top) @ share)
    return found


def beyond(estimate: Array, variance: Array, scale: float | Array) -> Array:
    """Log-evidence that a mean is above 0: the one-sided normal mixture.

    `estimate` and its `variance` are of every look (infinite: no evidence); `scale` is the excess
    that is looked for, in the estimate's unit. Asymptotic in the number of blocks behind the
    variance. Sources: Robbins (1970); Howard, Ramdas, McAuliffe and Sekhon (2021), section 3.2;
    Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2024) for the asymptotics.
    """
    information = scale**2 / variance
    spread = 1 + information
    above = estimate / scale * information / np.sqrt(spread)
    found: Array = np.log(2) - np.log(spread) / 2 + above**2 / 2 + log_ndtr(above)
    return found
