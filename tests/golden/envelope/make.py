#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the golden envelopes, from docs/spec/envelope.md alone.

    make.py           says whether the files beside it are what it writes; exit 1 if not
    make.py --write   writes them

Each NAME.kvfy has a NAME.json: what `kvferry inspect --json` says of it, or the error of one that
is refused. SHA256SUMS lists them. A file that was published is never changed; cases are added.

Nothing of ours is used here: Protocol Buffers and Ed25519 are written out, XXH3-128 is the system's
libxxhash.
"""

import ctypes
import hashlib
import json
import struct
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent

# Protocol Buffers.


def varint(number):
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out + bytes([number]))


def number(field, value):
    return varint(field << 3) + varint(value) if value else b""


def fixed(field, value):
    return varint(field << 3 | 1) + struct.pack("<Q", value)


def text(field, value):
    data = value if isinstance(value, bytes) else value.encode()
    return varint(field << 3 | 2) + varint(len(data)) + data


def packed(field, values):
    return text(field, struct.pack(f"<{len(values)}Q", *values)) if values else b""


def some(field, value):
    return text(field, value) if value else b""


# Ed25519, RFC 8032, section 5.1.

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
BASE = (15112221349535400772501151409588531511454012693041857206046113283949847762202,
        46316835694926478169428394003475163141307993866256225615783033603165251855960)


def add(left, right):
    (x1, y1), (x2, y2) = left, right
    product = D * x1 * x2 * y1 * y2
    return ((x1 * y2 + x2 * y1) * pow(1 + product, P - 2, P) % P,
            (y1 * y2 + x1 * x2) * pow(1 - product, P - 2, P) % P)


def times(scalar):
    point, power = (0, 1), BASE
    while scalar:
        if scalar & 1:
            point = add(point, power)
        power = add(power, power)
        scalar >>= 1
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def to_int(data):
    return int.from_bytes(data, "little")


def sign(seed, message):
    """Public key and signature."""
    digest = hashlib.sha512(seed).digest()
    secret = to_int(digest[:32]) & ((1 << 254) - 8) | (1 << 254)
    public = times(secret)
    nonce = to_int(hashlib.sha512(digest[32:] + message).digest()) % L
    point = times(nonce)
    challenge = to_int(hashlib.sha512(point + public + message).digest()) % L
    return public, point + ((nonce + challenge * secret) % L).to_bytes(32, "little")


# RFC 8032, section 7.1, test 1.
SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")

# The envelope.


class Sum(ctypes.Structure):
    _fields_ = [("low", ctypes.c_uint64), ("high", ctypes.c_uint64)]


def checksum(data):
    function = ctypes.CDLL("libxxhash.so.0").XXH3_128bits
    function.argtypes, function.restype = [ctypes.c_char_p, ctypes.c_size_t], Sum
    found = function(data, len(data))
    return struct.pack("<QQ", found.low, found.high)


def frame(body, trailer=b"", version=1, more_header=b""):
    begin = struct.pack("<4sHHHHIQ", b"KVFY", version, 1, 48 + len(more_header),
                        1 if trailer else 0, 0, len(body))
    after = bytes(8) + more_header + body
    return begin + checksum(begin + after) + after + trailer


STORAGE = {"System": 1, "Pinned": 2, "Device": 3, "Disk": 4}
ACCESS = {"read": 1, "read-write": 2}
ARRANGEMENT = {"FullyContiguous": 1, "LayerSeparateBlockIsFirstDim": 2,
               "LayerSeparateBlockIsSecondDim": 3, "Strided": 4}
ORDER = {"Unknown": 0, "NHD": 1, "HND": 2, "UniversalTP": 3, "UniversalPP": 4}
AXES = ("Layer", "Outer", "Page", "Head")
CONFIG = ("num_blocks", "num_layers", "outer_dim", "page_size", "inner_dim", "alignment",
          "dtype_width_bytes")


def layout_bytes(value):
    storage = value["storage"]
    kind, place = (storage, 0) if isinstance(storage, str) else next(iter(storage.items()))
    config = value["config"]
    out = number(1, value["id"]) + number(2, STORAGE[kind]) + number(3, int(place))
    out += number(4, ACCESS[value["access"]])
    out += number(5, int(value["tier"][1]) if value["tier"] else 0)
    custom = config["order"]["Custom"] if isinstance(config["order"], dict) else []
    out += number(6, ARRANGEMENT[value["arrangement"]])
    out += number(7, 5 if custom else ORDER[config["order"]])
    for field, name in enumerate(CONFIG, 8):
        out += number(field, int(config[name]))
    if config["num_heads"] is not None:
        out += varint(15 << 3) + varint(int(config["num_heads"]))
    out += packed(16, [int(region["address"]) for region in value["regions"]])
    out += packed(17, [int(region["size"]) for region in value["regions"]])
    if value["guards"]:
        out += fixed(18, int(value["guards"]["address"])) + fixed(19, int(value["guards"]["size"]))
    out += some(22, bytes(AXES.index(axis) for axis in custom))
    for field, part in ((23, value.get("layers")), (25, value.get("heads"))):
        if part:
            out += number(field, int(part["first"])) + number(field + 1, int(part["model"]))
    if "strides" in value:
        strides = value["strides"]
        out += packed(27, [int(stride) for stride in strides["bytes"]])
        out += packed(28, strides["region_steps"]) + number(29, int(strides["offset"]))
        out += some(30, strides["packing"])
    out += some(31, value.get("group", "")) + some(32, value.get("plane", ""))
    out += some(33, value.get("model", ""))
    return out + bytes.fromhex(value.get("unknown_fields", ""))


def features_of(layouts):
    """What a reader of the first envelopes did not know."""
    features = []
    if any(isinstance(layout["config"]["order"], dict) or
           layout["config"]["order"].startswith("Universal") for layout in layouts):
        features.append("orders")
    if any("layers" in layout or "heads" in layout for layout in layouts):
        features.append("parts")
    if any("strides" in layout for layout in layouts):
        features.append("strides")
    if any("plane" in layout for layout in layouts):
        features.append("planes")
    return features


def body_of(value):
    worker = int(value["worker_id"])
    out = fixed(1, worker) if worker else b""
    out += some(2, value["name"]) + text(3, bytes.fromhex(value["epoch"]))
    out += number(4, int(value["generation"])) + number(5, int(value["issued_unix_ms"]))
    out += number(6, int(value["lease_ms"])) + some(7, value["audience"])
    for feature in features_of(value["layouts"]):
        out += text(8, feature)
    for agent in value["agents"]:
        out += text(9, some(1, agent["kind"]) + some(2, bytes.fromhex(agent["blob"])) +
                    bytes.fromhex(agent.get("unknown_fields", "")))
    for layout in value["layouts"]:
        out += text(10, layout_bytes(layout))
    return out + bytes.fromhex(value.get("unknown_fields", ""))


# The cases.


def big(value):
    """JSON readers keep 53 bits."""
    return str(value) if value > 2**53 else value


def layout(identity, numbers, regions, **more):
    config = dict(zip(CONFIG, map(big, numbers)))
    config["order"] = more.pop("order", "Unknown")
    config["num_heads"] = more.pop("num_heads", None)
    value = {"id": identity, "storage": "System", "access": "read", "tier": None,
             "arrangement": "FullyContiguous", "config": config,
             "regions": [{"address": big(address), "size": big(size)}
                         for address, size in regions],
             "guards": None}
    value.update(more)
    return value


def worker(identity, name, **more):
    value = {"worker_id": str(identity), "name": name, "epoch": f"{1:032x}", "generation": 1,
             "issued_unix_ms": 0, "lease_ms": 0, "audience": "", "agents": [], "layouts": []}
    value.update(more)
    return value


def seed_like():
    return worker(100, "worker_100", epoch="000102030405060708090a0b0c0d0e0f", generation=3,
                  issued_unix_ms=1_700_000_000_123,
                  agents=[{"kind": "nixl", "blob": "0102030405"}],
                  layouts=[layout(1, (2, 2, 2, 4, 8, 1, 2), [(4096, 4096)])])


def several():
    first = layout(0, (1024, 2, 2, 16, 1024, 1, 2), [(0x7F1234000000, 67108864),
                                                    (0x7F1238000000, 67108864)],
                   order="NHD", num_heads=8, tier="G1", storage={"Device": 3},
                   access="read-write", arrangement="LayerSeparateBlockIsSecondDim",
                   guards={"address": 0x7F1240000000, "size": 8192})
    second = layout(7, (16, 61, 1, 64, 576, 256, 1), [(4096, 35979264)], order="HND", num_heads=1,
                    tier="G3", storage={"Disk": 5})
    last = layout(65535, (2**64 - 1,) * 7, [(2**64 - 1, 2**64 - 1)], num_heads=str(2**64 - 1),
                  tier="G2", storage="Pinned", arrangement="LayerSeparateBlockIsFirstDim")
    return worker(2**64 - 1, "vorfüllen", epoch="f" * 32, generation=str(2**64 - 1),
                  issued_unix_ms=9_223_372_036_853, lease_ms=1, audience="decode-1",
                  agents=[{"kind": "shm", "blob": "00ff"}, {"kind": "nixl", "blob": ""}],
                  layouts=[first, second, last])


def orders():
    """Orders that need one region, and two ranks' parts of a model."""
    numbers = (4, 2, 2, 16, 512, 1, 2)
    region = [(4096, 4 * 2 * 2 * 16 * 512 * 2)]
    ranks = [layout(1, numbers, region, order="UniversalTP", num_heads=4,
                    layers={"first": 2, "model": 4}, heads={"first": 4, "model": 8}),
             layout(2, numbers, region, order="UniversalPP", num_heads=4,
                    layers={"first": 0, "model": 4}),
             layout(3, numbers, region, order={"Custom": ["Page", "Layer", "Head", "Outer"]},
                    num_heads=4, heads={"first": 0, "model": str(2**64 - 1)}, group="window"),
             layout(4, numbers, region, group="full")]
    return worker(3, "rank", layouts=ranks)


def strided():
    """K and V of each layer in tensors of their own, with padding, and an opaque packing."""
    tensors = [(4096 * (i + 1), 2048) for i in range(4)]
    told = layout(0, (2, 2, 2, 4, 32, 1, 2), tensors, arrangement="Strided", num_heads=2,
                  layers={"first": 0, "model": 6},
                  strides={"bytes": [1024, 0, 0, 128, 64], "region_steps": [0, 2, 1, 0, 0],
                           "offset": 64, "packing": ""})
    opaque = layout(1, (2, 2, 1, 4, 32, 1, 2), [(65536, 4096)], arrangement="Strided",
                    group="state",
                    strides={"bytes": [2048, 512, 0, 0, 0], "region_steps": [0] * 5, "offset": 0,
                             "packing": "vllm-cpu-amx"})
    return worker(4, "engine", layouts=[told, opaque])


def planes():
    """Rows of a head with a scale behind each, and a sum for each token elsewhere."""
    meaning = {"model": "model-a@1", "group": "full"}
    data = layout(2, (2, 3, 2, 4, 32, 1, 2), [(4096, 8192)], arrangement="Strided", num_heads=2,
                  strides={"bytes": [1728, 576, 288, 72, 36], "region_steps": [0] * 5, "offset": 0,
                           "packing": ""}, tier="G2", **meaning)
    scales = layout(2, (2, 3, 2, 4, 2, 1, 4), [(4096, 8192)], arrangement="Strided", num_heads=2,
                    strides={"bytes": [1728, 576, 288, 72, 36], "region_steps": [0] * 5,
                             "offset": 32, "packing": ""}, tier="G2", **meaning,
                    plane="scales")
    sums = layout(2, (2, 3, 2, 4, 1, 1, 2), [(65536 + 64 * i, 32) for i in range(3)],
                  arrangement="LayerSeparateBlockIsFirstDim", order="HND", num_heads=1, tier="G2",
                  **meaning, plane="sums")
    return worker(5, "fp8", layouts=[layout(1, (1, 1, 1, 1, 1, 1, 2), [(128, 2)]), data, scales,
                                     sums])


def newer_fields():
    value = seed_like()
    value["unknown_fields"] = (number(100, 300) + text(101, "later") + fixed(102, 7)).hex()
    value["agents"][0]["unknown_fields"] = number(3, 1).hex()
    value["layouts"][0]["unknown_fields"] = (text(20, text(1, "groups")) + varint(21 << 3 | 5) +
                                             bytes(4)).hex()
    return value


def described(value, data, canonical=True):
    return {"format": "envelope", "ambiguous": False, "canonical": canonical, "bytes": len(data),
            "lint": [], "value": value}


def plain(value):
    value["signature"] = None
    data = frame(body_of(value))
    return data, described(value, data)


def signed(value):
    body = body_of(value)
    public, signature = sign(SEED, body)
    value["signature"] = {"public_key": public.hex(), "signature": signature.hex()}
    data = frame(body, public + signature)
    return data, described(value, data)


def newer_header():
    value = seed_like()
    value["signature"] = None
    data = frame(body_of(value), version=2, more_header=b"\1\2\3\4\5\6\7\10")
    return data, described(value, data, canonical=False)


def required():
    features = text(8, "groups") + text(8, "scale_planes")
    value = seed_like()
    # A later writer may put fields in any order, and use values that we cannot know.
    data = frame(features + body_of(value) + text(10, number(1, 2) + number(2, 5)))
    message = 'required_features: "groups", "scale_planes" not known here'
    return data, {"error": {"code": "Incompatible", "message": message}}


def cases():
    return {
        "minimal": plain(worker(0, "w")),
        "seed_like": plain(seed_like()),
        "several": plain(several()),
        "orders": plain(orders()),
        "strided": plain(strided()),
        "planes": plain(planes()),
        "signed": signed(seed_like()),
        "newer_fields": plain(newer_fields()),
        "newer_fields_signed": signed(newer_fields()),
        "newer_header": newer_header(),
        "required_features": required(),
    }


def files():
    out = {}
    for name, (data, document) in cases().items():
        out[f"{name}.kvfy"] = data
        out[f"{name}.json"] = (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode()
    out["SHA256SUMS"] = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n"
                                for name, data in sorted(out.items())).encode()
    return out


def main():
    made = files()
    if sys.argv[1:] == ["--write"]:
        for name, data in made.items():
            (HERE / name).write_bytes(data)
        return 0
    there = {path.name: path.read_bytes() for path in HERE.iterdir() if path.is_file()}
    there.pop(Path(__file__).name)
    wrong = sorted(name for name in made.keys() | there.keys()
                   if made.get(name) != there.get(name))
    for name in wrong:
        print(f"{name}: {'differs' if name in made and name in there else 'on one side only'}")
    print(f"{len(made) - len(wrong)} of {len(made)} files are as written here")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
