"""The door: who asks, with which ids, and whether they may."""

import hashlib
import re
from dataclasses import dataclass

from preflight.serving.ids import Ids
from preflight.serving.keys import Cap, Key, Keys, Scope
from preflight.serving.metrics import ENTITY_BUCKETS
from preflight.serving.problems import Headers, Refusal
from preflight.serving.watched import Watched

ENTITY = re.compile(rb"[\x21-\x7e]{1,128}")
REQUEST_ID = ENTITY
# W3C Trace Context, section 3.2: version ff and ids of zeros alone are none.
TRACE = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
STATE = re.compile(rb"[\x20-\x7e]{1,512}")
ANYBODY = "anybody"  # the client where no key is asked for
SHOWN = "1 to 128 visible ASCII characters"


@dataclass(slots=True)
class Caller:
    """Who asks: the client of the key, and the entity with its bucket, the unit of judgement."""

    client: str
    entity: str
    bucket: int


class Door:
    """Admits callers by their keys; without keys everybody, as the one client `anybody`."""

    def __init__(self, keys: Watched[Keys] | None, rate: float, salt: str) -> None:
        """`rate` caps requests a second of a key that has no cap of its own."""
        self.keys, self._rate = keys, rate
        self._salt = hashlib.blake2b(salt.encode(), digest_size=32).digest()
        self._cap = Cap()

    def admit(self, headers: dict[bytes, bytes], scope: Scope) -> Caller:
        """Who asks; raises Refusal with 401, 403, 422 or 429."""
        client = ANYBODY
        if self.keys is not None:
            key = self._key(headers, self.keys.value)
            if scope not in key.scopes:
                raise Refusal(403, "authorization", f"a key for {', '.join(key.scopes)}", scope)
            rate = key.rate or self._rate
            if not self._cap.takes(key.id, rate):
                more = f"more than {rate:g} requests in this second"
                raise Refusal(429, "authorization", more, "fewer", {"retry-after": "1"})
            client = key.client
        entity = headers.get(b"x-entity-id")
        if entity is None:
            entity = client.encode()
        elif not ENTITY.fullmatch(entity):
            raise Refusal(422, "X-Entity-Id", f"{len(entity)} bytes", SHOWN)
        return Caller(client, entity.decode(), self.bucket(entity))

    def require_known(self, headers: dict[bytes, bytes]) -> None:
        """Raise Refusal when the key of a request that goes on has been taken back."""
        if self.keys is not None:
            self._key(headers, self.keys.value)

    def bucket(self, entity: bytes) -> int:
        """One of 32, the same in every replica and release, and independent of any routing."""
        found = hashlib.blake2b(entity, key=self._salt, digest_size=4).digest()
        return int.from_bytes(found) % ENTITY_BUCKETS

    @staticmethod
    def _key(headers: dict[bytes, bytes], keys: Keys) -> Key:
        sent = headers.get(b"authorization")
        expected, ask = "Authorization: Bearer KEY", {"www-authenticate": "Bearer"}
        if sent is None:
            raise Refusal(401, "authorization", "no key", expected, ask)
        key = keys.find(sent[7:].strip()) if sent[:7].lower() == b"bearer " else None
        if key is None:
            raise Refusal(401, "authorization", "no key that is known", expected, ask)
        return key


def require_once(headers: Headers) -> None:
    """Refuse two of a header that says who asks: a gateway may have looked at the other."""
    names = [name for name, _ in headers]
    for name in (b"authorization", b"x-entity-id"):
        if (count := names.count(name)) > 1:
            raise Refusal(422, name.decode(), f"{count} of it", "one")


def echoed(headers: dict[bytes, bytes], ids: Ids) -> Headers:
    """The caller's request id, or a new one, and its trace context, as the answer repeats them."""
    sent = headers.get(b"x-request-id")
    if sent is None or not REQUEST_ID.fullmatch(sent):
        sent = ids.one().encode()
    found = [(b"x-request-id", sent)]
    trace = headers.get(b"traceparent")
    if trace is not None and TRACE.fullmatch(trace):
        found.append((b"traceparent", trace))
        state = headers.get(b"tracestate")
        if state is not None and STATE.fullmatch(state):
            found.append((b"tracestate", state))
    return found
