"""Requests that a caller might send by mistake, or to see what happens."""

import json

from hypothesis import strategies as st

from fuzz.bodies import ODD, anything, encoded, mutated, nested, parts, right, written
from fuzz.exchange import Headers, Request
from preflight.contract import Contract

ONE, BATCH, LINES = "/v1/predict", "/v1/predict/batch", "/v1/predict/lines"
PATHS = (ONE, BATCH, LINES, "/version", "/openapi.json", "/docs.json")
METHODS = (
    "GET",
    "POST",
    "PUT",
    "DELETE",
    "PATCH",
    "HEAD",
    "OPTIONS",
    "TRACE",
    "QUERY",
    "post",
    "X",
)
NAMES = (
    b"x-entity-id",
    b"x-request-id",
    b"traceparent",
    b"tracestate",
    b"content-type",
    b"content-encoding",
    b"content-length",
    b"authorization",
    b"expect",
    b"accept",
)
TRACE = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Requests:
    """Strategies for requests to a service of one contract."""

    def __init__(self, contract: Contract, key: str) -> None:
        self._columns = contract.known
        self._key: Headers = ((b"authorization", b"Bearer " + key.encode()),)
        odd = st.one_of(
            st.integers(0, len(ODD) - 1).map(ODD.__getitem__),
            anything().map(json.dumps),
            st.text(max_size=8),
        )
        self._fields = {
            each.name: st.one_of(right(each), right(each), odd) for each in contract.known
        }
        self._odd = odd

    def kinds(self) -> dict[str, st.SearchStrategy[Request]]:
        """A strategy for each kind of request, by name."""
        rows = st.one_of(self._right(), self._odd_row())
        many = st.lists(rows, max_size=6).map(
            lambda found: f'{{"instances": [{", ".join(found)}]}}'
        )
        return {
            "rows": self._to(rows.map(encoded), ONE),
            "mutated rows": self._to(mutated(rows.map(encoded)), ONE),
            "batches": self._to(many.map(encoded), BATCH),
            "mutated batches": self._to(mutated(many.map(encoded)), BATCH),
            "streams": self._to(self._streams(rows), LINES),
            "bytes": self._to(st.binary(max_size=200), ONE, BATCH, LINES),
            "nested": self._to(nested(), ONE, BATCH, LINES),
            "doors": self._doors(),
        }

    def _to(self, bodies: st.SearchStrategy[bytes], *paths: str) -> st.SearchStrategy[Request]:
        """Posts with the key, the bodies in parts."""
        posts = st.just("POST"), st.sampled_from(paths), st.just(self._key)
        return st.builds(Request, *posts, parts(bodies))

    def _right(self) -> st.SearchStrategy[str]:
        """A row that keeps the contract."""
        fields = {column.name: right(column) for column in self._columns}
        return st.fixed_dictionaries(fields).map(written)

    def _odd_row(self) -> st.SearchStrategy[str]:
        """A row with odd values, and fields too many, too few or twice."""
        fields = st.fixed_dictionaries({}, optional=self._fields)
        names = st.one_of(
            st.sampled_from([each.name for each in self._columns]), st.text(max_size=6)
        )
        more = st.lists(st.tuples(names, self._odd), max_size=2)
        return st.builds(lambda found, extra: written([*found.items(), *extra]), fields, more)

    def _streams(self, rows: st.SearchStrategy[str]) -> st.SearchStrategy[bytes]:
        """Lines of all kinds: also two rows in a line, and a row over two."""
        right = self._right().map(encoded)
        broken = right.map(lambda row: row.replace(b", ", b",\n", 1))
        odd = st.one_of(rows.map(encoded), mutated(right), broken, st.binary(max_size=12))
        ends = st.sampled_from((b"\n", b"\n", b"\r\n", b"\n \n", b"\r", b" ", b""))
        lines = st.lists(st.one_of(right, right, odd), max_size=5)
        last = st.sampled_from((b"", b"\n"))
        return st.builds(lambda found, end, more: end.join(found) + more, lines, ends, last)

    def _doors(self) -> st.SearchStrategy[Request]:
        """Odd methods, paths and headers, with the key, another one or none."""
        right = self._right().map(encoded)
        value = st.one_of(
            st.binary(max_size=30).map(_header),
            st.text(max_size=140).map(lambda text: _header(text.encode(errors="replace"))),
            st.sampled_from((TRACE, b"gzip", b"identity", b"a" * 129, b"", b"Bearer", b"Basic a")),
        )
        more = st.lists(st.tuples(st.sampled_from(NAMES), value), max_size=4)
        key = st.sampled_from((self._key, self._key, self._key, ()))
        headers = st.builds(lambda found, extra: (*found, *extra), key, more)
        odd = st.one_of(
            st.sampled_from(PATHS).map(lambda path: path + "?a=%00"),
            st.sampled_from(("/v1/predict/", "//v1/predict", "/V1/predict", "/v1/predict%00", "/")),
            st.text(max_size=12).map(lambda text: "/" + text.replace("?", "")).filter(_sendable),
        )
        paths = st.one_of(st.sampled_from(PATHS), odd)
        return st.builds(
            Request, st.sampled_from(METHODS), paths, headers, right.map(lambda body: (body,))
        )


def _header(value: bytes) -> bytes:
    """What a server lets through in a header."""
    return value.translate(None, b"\r\n\0").strip()


def _sendable(text: str) -> bool:
    return text.isprintable() and text.isascii() and "%" not in text
