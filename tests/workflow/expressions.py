"""The few expressions that our workflows use, evaluated as GitHub does."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Functions = Mapping[str, Callable[..., Any]]
TOKEN = re.compile(r"\s*('(?:[^']|'')*'|&&|\|\||==|!=|[!(),]|[\w.*-]+(?:\[\d+\][\w.*-]*)*)")
STATUS = re.compile(r"\b(?:always|success|failure|cancelled)\(")
HOLE = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
WORDS = {"true": True, "false": False, "null": None}


def holds(condition: str | None, context: Mapping[str, Any], functions: Functions) -> bool:
    """Whether an `if:` holds; one that names no status function asks for success too."""
    text = str(condition or "success()")
    if match := HOLE.fullmatch(text.strip()):
        text = match[1]
    asked = STATUS.search(text) is not None or bool(functions["success"]())
    return asked and bool(value(text, context, functions))


def filled(text: Any, context: Mapping[str, Any], functions: Functions) -> str:
    """A text with each ${{ … }} replaced by its value."""
    return HOLE.sub(lambda hole: _text(value(hole[1], context, functions)), _text(text))


def value(text: str, context: Mapping[str, Any], functions: Functions) -> Any:
    """The value of an expression; raises ValueError for one that this runner does not know."""
    reader = _Reader(text, context, functions)
    found = reader.either()
    if reader.rest:
        raise ValueError(f"not understood in `{text.strip()}`: {reader.rest[0]}")
    return found


class _Reader:
    """Reads one expression from left to right."""

    def __init__(self, text: str, context: Mapping[str, Any], functions: Functions) -> None:
        self.rest = [match[1] for match in TOKEN.finditer(text)]
        if "".join(self.rest) != re.sub(r"\s+(?=(?:[^']*'[^']*')*[^']*$)", "", text):
            raise ValueError(f"not understood: {text}")
        self.context, self.functions = context, functions

    def _took(self, token: str) -> bool:
        if self.rest[:1] == [token]:
            self.rest.pop(0)
            return True
        return False

    def either(self) -> Any:
        left = self._both()
        while self._took("||"):
            right = self._both()
            left = left or right
        return left

    def _both(self) -> Any:
        left = self._compared()
        while self._took("&&"):
            right = self._compared()
            left = left and right
        return left

    def _compared(self) -> Any:
        left = self._single()
        if self._took("=="):
            return _equal(left, self._single())
        if self._took("!="):
            return not _equal(left, self._single())
        return left

    def _single(self) -> Any:
        if self._took("!"):
            return not self._single()
        if self._took("("):
            found = self.either()
            self._close()
            return found
        token = self.rest.pop(0) if self.rest else ""
        if token.startswith("'"):
            return token[1:-1].replace("''", "'")
        if token in WORDS:
            return WORDS[token]
        return self._called(token) if self._took("(") else self._looked_up(token)

    def _close(self) -> None:
        if not self._took(")"):
            raise ValueError("a parenthesis is not closed")

    def _called(self, name: str) -> Any:
        given = []
        while not self._took(")"):
            given.append(self.either())
            if not self._took(","):
                self._close()
                break
        if name == "toJSON":
            return json.dumps(*given)
        if name == "startsWith":
            whole, start = (_text(each).casefold() for each in given)
            return whole.startswith(start)
        if name not in self.functions:
            raise ValueError(f"no function `{name}` in this runner")
        return self.functions[name](*given)

    def _looked_up(self, name: str) -> Any:
        first, *steps = re.split(r"[.\[]", name.replace("]", ""))
        if first not in self.context:
            raise ValueError(f"no context `{first}` in this runner")
        found = self.context[first]
        for step in steps:
            found = _step(found, step)
        return found


def _step(found: Any, step: str) -> Any:
    if isinstance(found, Sequence) and step.isdecimal():
        return found[int(step)] if int(step) < len(found) else None
    return found.get(step) if isinstance(found, Mapping) else None


def _equal(left: Any, right: Any) -> bool:
    if isinstance(left, str) and isinstance(right, str):
        return left.casefold() == right.casefold()
    return bool(left == right)


def _text(found: Any) -> str:
    if found is None:
        return ""
    return str(found).lower() if isinstance(found, bool) else str(found)
