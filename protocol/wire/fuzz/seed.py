#!/usr/bin/env python3
"""Writes the fuzz targets' first corpus from the golden vectors (run it anywhere; no arguments)."""

import json
import pathlib

HERE = pathlib.Path(__file__).resolve().parent
SEED_BYTES_MAX = 4_096  # longer ones only slow the fuzzer down


def main() -> None:
    vectors = json.loads((HERE.parent / "tests/vectors/frames.json").read_text(encoding="utf-8"))["vectors"]
    folders = {target: HERE / "corpus" / target for target in ("deframer", "header")}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    for number, vector in enumerate(vectors):
        pieces = [bytes.fromhex(p) if isinstance(p, str) else bytes.fromhex(p["repeat"]) * p["times"] for p in vector["bytes"]]
        data = b"".join(pieces)
        if len(data) > SEED_BYTES_MAX:
            continue
        # The deframer's first byte says how the rest is split.
        (folders["deframer"] / f"vector-{number:03}").write_bytes(b"\x07" + data)
        header = data[2 : 2 + int.from_bytes(data[:2], "big")]
        if header:
            (folders["header"] / f"vector-{number:03}").write_bytes(header)
    print(*(f"{target}: {len(list(folder.iterdir()))} seeds" for target, folder in folders.items()), sep="\n")


if __name__ == "__main__":
    main()
