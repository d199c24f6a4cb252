#!/usr/bin/env python3
"""Writes tests/vectors/qpack.json: header sections as ls-qpack, which aioquic carries, codes them without a dynamic table.

Run with the Python that tests/setup made for aioquic. The random lists come from a fixed seed.
"""

import json
import pathlib
import random

from pylsqpack import Encoder

SEED = 1
NAMES = ["origin", "user-agent", "x-custom", "wt-available-protocols", "cookie", "accept", "sec-webtransport-http3-draft02"]


def sections():
    connect = [(":method", "CONNECT"), (":scheme", "https"), (":authority", "example.org:443"), (":path", "/a?b=c")]
    yield connect + [(":protocol", "webtransport")]
    yield connect + [(":protocol", "webtransport-h3"), ("origin", "https://example.org"), ("wt-available-protocols", '"a", "b"')]
    for status in ("100", "200", "204", "302", "404", "429", "503"):
        yield [(":status", status)]
    yield [("x-empty", ""), ("x-long", "v" * 300), ("n" * 200, "1"), ("x-bytes", "".join(map(chr, range(0x21, 0x7F))))]
    source = random.Random(SEED)
    for _ in range(200):
        letters = source.choice(["abcxyz019-/", "".join(map(chr, range(0x20, 0x7F)))])
        value = lambda: "".join(source.choices(letters, k=source.choice([0, 1, 5, 20, 140]))).strip()
        yield [(source.choice(NAMES), value()) for _ in range(source.randrange(1, 6))]


def main():
    vectors = []
    for fields in sections():
        _, block = Encoder().encode(0, [(name.encode(), value.encode()) for name, value in fields])
        vectors.append({"fields": fields, "block": block.hex()})
    lines = ",\n".join(json.dumps(vector, separators=(",", ":")) for vector in vectors)
    path = pathlib.Path(__file__).resolve().parent.parent / "vectors" / "qpack.json"
    path.write_text(f"[\n{lines}\n]\n")
    print(f"{len(vectors)} sections in {path}")


main()
