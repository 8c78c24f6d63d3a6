"""Draws without a seed: generators that two runs of one commit start differently."""

import ast
from collections import Counter
from collections.abc import Iterator

from preflight.policy.commits import Change
from preflight.policy.guards import unseeded
from preflight.policy.loosening import Loosening, loosening
from preflight.policy.sources import Names, dotted, imported, parsed

KNOWN_ALONE = ("default_rng", "RandomState", "SeedSequence")  # whatever they are imported from
SEEDABLE = {
    *(f"numpy.random.{name}" for name in KNOWN_ALONE),
    *(f"numpy.random.{name}" for name in ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")),
    *("numpy.random.seed", "random.Random", "random.seed"),
}
STATE = {"get_state", "set_state", "getstate", "setstate", "bit_generator", "mtrand"}
CLOCKS = {
    *("time.time", "time.time_ns", "time.monotonic", "time.monotonic_ns", "time.perf_counter"),
    *("time.perf_counter_ns", "datetime.datetime.now", "os.urandom", "os.getpid"),
    *("uuid.uuid1", "uuid.uuid4"),
}


def seeds(change: Change) -> Iterator[Loosening]:
    """Draws without a seed that the head has and the base has not, and seeds taken away."""
    for path in change.paths(r"src/.*\.py"):
        if path in change.head:
            yield from _file(path, change)
    yield from unseeded(change)


def _file(path: str, change: Change) -> Iterator[Loosening]:
    tree = parsed(change.head[path])
    if tree is None:
        yield loosening("no longer Python", path)
        return
    before = Counter(said for said, _ in draws(parsed(change.base.get(path)) or ast.Module([], [])))
    for said, line in draws(tree):
        before[said] -= 1
        if before[said] < 0:
            yield loosening("draw without a seed", f"{path}: {said}", remark=f"line {line}")


def draws(tree: ast.Module) -> list[tuple[str, int]]:
    """Each draw without a seed, in words that do not move with it, and its line."""
    names = imported(tree)
    found = []
    for node in ast.walk(tree):
        if said := _call(node, names) or _legacy(node, names) or _clock(node, names):
            found.append((said, getattr(node, "lineno", 0)))
    return found


def _call(node: ast.AST, names: Names) -> str:
    """A generator made without a seed, or from the system's entropy."""
    if not isinstance(node, ast.Call):
        return ""
    name = dotted(node.func, names)
    if name == "random.SystemRandom":
        return f"{name}()"
    if name not in SEEDABLE and name.rpartition(".")[2] not in KNOWN_ALONE:
        return ""
    given = [*node.args, *(each.value for each in node.keywords)]
    empty = all(isinstance(each, ast.Constant) and each.value is None for each in given[:1])
    return f"{name}({ast.unparse(given[0]) if given else ''})" if empty else ""


def _legacy(node: ast.AST, names: Names) -> str:
    """A function that draws from a module's one shared generator."""
    if not (isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load)):
        return ""
    name = dotted(node, names)
    module, _, function = name.rpartition(".")
    if module not in ("random", "numpy.random") or name in SEEDABLE or function in STATE:
        return ""
    known = isinstance(node, ast.Name) or _root(node) in names
    return name if known and function[:1].islower() else ""


def _root(node: ast.AST) -> str:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _clock(node: ast.AST, names: Names) -> str:
    """A seed that is drawn from the clock or the system."""
    for label, value in _given(node, names):
        if "seed" in label.lower():
            for inner in ast.walk(value):
                name = dotted(inner.func, names) if isinstance(inner, ast.Call) else ""
                if name in CLOCKS or name.startswith("secrets."):
                    return f"{label.rpartition('.')[2]} = {name}()"
    return ""


def _given(node: ast.AST, names: Names) -> list[tuple[str, ast.expr]]:
    """What a node gives to a name: assignments, keywords, keys, arguments of a generator."""
    if isinstance(node, ast.Assign):
        return [(ast.unparse(target), node.value) for target in node.targets]
    if isinstance(node, ast.AnnAssign | ast.AugAssign | ast.NamedExpr) and node.value:
        return [(ast.unparse(node.target), node.value)]
    if isinstance(node, ast.keyword) and node.arg:
        return [(node.arg, node.value)]
    if isinstance(node, ast.Dict):
        keyed = zip(node.keys, node.values, strict=True)
        return [(str(key.value), each) for key, each in keyed if isinstance(key, ast.Constant)]
    if isinstance(node, ast.Call) and _takes_a_seed(dotted(node.func, names)):
        return [("seed", each) for each in node.args]
    return []


def _takes_a_seed(name: str) -> bool:
    return name in SEEDABLE or "seed" in name.rpartition(".")[2].lower()
