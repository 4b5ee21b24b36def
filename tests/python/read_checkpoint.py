"""Reads a checkpoint with nothing but Python's own library, and checks every byte of it: docs/format.md in code.

Usage: read_checkpoint.py CHECKPOINT. Prints JSON: what the manifest says, and each component's values in hexadecimal.
"""

import json
import math
import struct
import sys
from itertools import product
from pathlib import Path

def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF

def manifest(data):
    magic, version, length, crc = struct.unpack_from("<8sIQI", data)
    assert (magic, version, length) == (b"RINGFORT", 1, len(data) - 24) and crc == crc32c(data[:20] + data[24:])
    at = 24
    def take(form):
        nonlocal at
        values = struct.unpack_from("<" + form, data, at)
        at += struct.calcsize("<" + form)
        return values if len(values) > 1 else values[0]
    text = lambda: take(f"{take('Q')}s").decode()
    array = lambda read: [read() for _ in range(take("Q"))]
    option = lambda read: read() if take("B") else None
    forms = "step:Q time:d dt:d parts:4Q precision:B axes:B points:4Q spacing:4d origin:4d units:B boundary:8B"
    said = {name: take(form) for name, form in (word.split(":") for word in forms.split())}
    words = lambda: {"name": text(), "unit": text(), "about": text(), "standard_name": option(text)}
    said["components"] = array(lambda: words() | {"half": take("4?"), "fill": take("B")})
    said |= {"run": take("16s").hex(), "fingerprint": take("32s").hex()}
    said["parent"] = option(lambda: (take("16s").hex(), take("Q")))
    files = array(lambda: (text(), *take("QI")))
    assert at == len(data), "bytes follow the manifest"
    return said, files

folder = Path(sys.argv[1])
said, files = manifest((folder / "MANIFEST").read_bytes())
content = {name: (folder / name).read_bytes() for name, _, _ in files}
for name, length, crc in files:
    values = content[name][:-4] if "/c/" in name else content[name]
    assert len(content[name]) == length and crc32c(values) == crc, name
    assert values is content[name] or content[name][-4:] == crc.to_bytes(4, "little"), name
points, parts = (said[key][4 - said["axes"] :] for key in ["points", "parts"])
chunk, form = [-(-n // p) for n, p in zip(points, parts)], "fd"[said["precision"]]
for field in said["components"]:
    found = field["values"] = [None] * math.prod(points)
    for part in product(*map(range, parts)):
        values = struct.iter_unpack("<" + form, content["/".join([field["name"], "c", *map(str, part)])][:-4])
        for inside, (value,) in zip(product(*map(range, chunk)), values):
            cell = [p * c + i for p, c, i in zip(part, chunk, inside)]
            if all(i < n for i, n in zip(cell, points)):
                found[sum(i * math.prod(points[k + 1 :]) for k, i in enumerate(cell))] = value.hex()
print(json.dumps(said))
