"""FastChat's framing in plain Python (protocol/PROTOCOL.md, section 2): no sockets here.

    0        2                     2+H                        2+H+B
    +--------+----------------------+--------------------------+
    | H: u16 | JSON header, H bytes | message block, B bytes   |
    +--------+----------------------+--------------------------+

`encode` writes a frame, `Deframer` reads them out of a byte stream however it
is split. Held to protocol/wire/tests/vectors/frames.json by test_raw_client.py.
"""

from __future__ import annotations

import json
import struct

HEADER_MAX, BLOCK_MAX = 16_384, 4 << 20  # what a client reads
INTEGER_MAX = 1 << 53
# The keys that any header may have; given twice they are a bad frame.
COMMON_KEYS = ("op", "re", "event", "id", "error", "content-length", "content-type", "content-encoding", "parts")


class FrameError(Exception):
    """The bytes break the framing: nothing after them means anything."""

    def __init__(self, code: str, re: int | None, message: str) -> None:
        super().__init__(message)
        self.code, self.re = code, re


class Frame:
    """A header (a dict) and the block that follows it."""

    def __init__(self, header: dict, block: bytes = b"") -> None:
        self.header, self.block = header, block

    def pieces(self) -> list[bytes]:
        """The block, cut as `parts` says."""
        pieces, start = [], 0
        for length in self.header.get("parts", [len(self.block)]):
            pieces.append(self.block[start : start + length])
            start += length
        return pieces


def encode(header: dict, block: bytes = b"") -> bytes:
    """The bytes of a frame: length of the header, header, block."""
    if block:
        header = {**header, "content-length": len(block)}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    if len(text) > HEADER_MAX or len(block) > BLOCK_MAX:
        raise ValueError(f"a header of {len(text)} and a block of {len(block)} bytes: the limits are {HEADER_MAX} and {BLOCK_MAX}")
    return struct.pack(">H", len(text)) + text + block


class _Object(dict):
    """A JSON object that remembers which keys were given twice."""

    def __init__(self, pairs: list[tuple[str, object]]) -> None:
        super().__init__(pairs)
        keys = [key for key, _ in pairs]
        self.twice = {key for key in keys if keys.count(key) > 1} if len(keys) > len(self) else set()


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _is_integer(value: object) -> bool:
    return type(value) is int and 0 <= value <= INTEGER_MAX  # bool is an int, but not a number here


def parse_header(data: bytes) -> dict:
    """A header that is one JSON object and whose common keys make sense."""
    try:
        header = json.loads(data.decode("utf-8"), object_pairs_hook=_Object, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise FrameError("bad-frame", None, f"the header is not JSON: {error}") from None
    if not isinstance(header, _Object):
        raise FrameError("bad-frame", None, "the header is not a JSON object")
    twice = header.twice.intersection(COMMON_KEYS)
    if twice:
        raise FrameError("bad-frame", None, f"given twice: {', '.join(sorted(twice))}")

    request = header["id"] if _is_integer(header.get("id")) else None

    def check(good: bool, message: str) -> None:
        if not good:
            raise FrameError("bad-frame", request, message)

    for key in ("content-type", "content-encoding"):
        check(isinstance(header.get(key, ""), str), f"{key} is not a text")
    length = header.get("content-length", 0)
    check(_is_integer(length), "content-length is not an integer of 0 to 2^53")
    parts = header.get("parts", [length])
    check(isinstance(parts, list) and all(type(n) is int and n >= 0 for n in parts), "parts is not an array of integers")
    check(sum(parts) == length, "parts do not add up to content-length")
    re = header.get("re", 0)
    if "op" in header:
        check("re" not in header and "event" not in header, "a header has one of op, re and event")
        check(isinstance(header["op"], str), "op is not a text")
        check(request is not None, "a request needs an id: an integer of 0 to 2^53")
    elif "event" in header:
        check(_is_integer(re), "re is not an integer")
        check(isinstance(header["event"], str), "event is not a text")
    else:
        check("re" in header, "a header has one of op, re and event")
        check(re is None or _is_integer(re), "re is not an integer")
    return header


class Deframer:
    """Takes frames out of a byte stream, however it is split."""

    def __init__(self, header_max: int = HEADER_MAX, block_max: int = BLOCK_MAX) -> None:
        self.header_max, self.block_max = header_max, block_max
        self._buffer = bytearray()
        self._header: dict | None = None  # taken already; its block is still coming

    def is_mid_frame(self) -> bool:
        """True where a frame has begun and isn't complete."""
        return bool(self._buffer) or self._header is not None

    def push(self, data: bytes) -> None:
        """Adds bytes."""
        self._buffer += data

    def next(self) -> Frame | None:
        """The next frame; None where more bytes are needed."""
        if self._header is None:
            self._header = self._next_header()
        if self._header is None:
            return None
        length = self._header.get("content-length", 0)
        if len(self._buffer) < length:
            return None
        header, self._header = self._header, None
        return Frame(header, self._take(length))

    def _next_header(self) -> dict | None:
        if len(self._buffer) < 2:
            return None
        (length,) = struct.unpack_from(">H", self._buffer)
        if length < 2:
            raise FrameError("bad-frame", None, f"a header of {length} bytes: the smallest has 2")
        if length > self.header_max:
            raise FrameError("too-large", None, f"a header of {length} bytes: the limit is {self.header_max}")
        if len(self._buffer) < 2 + length:
            return None
        header = parse_header(self._take(2 + length)[2:])
        block = header.get("content-length", 0)
        if block > self.block_max:
            re = header["id"] if "op" in header else None
            raise FrameError("too-large", re, f"a block of {block} bytes: the limit is {self.block_max}")
        return header

    def _take(self, length: int) -> bytes:
        taken = bytes(self._buffer[:length])
        del self._buffer[:length]
        return taken
