#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Recomputes the bytes of a `kvferry pull --dump` file, without any code of kvferry.

Goal: say from outside whether a dump holds exactly the bytes of the fill pattern, and where not.
Method: the pattern's formula and the order of a dump as the command line documents them; each row
of a token is made anew and compared.

A dump holds the destination blocks in the order given, whole: block, layer, outer, token, head,
element, without padding. Layers that were not pulled hold what the puller filled in: zeros.

    oracle.py --geometry llama-3.1-8b --blocks 4,9,2 dump.bin
    oracle.py --self-test

Exit: 0 all bytes right, 1 not, 2 wrong usage.
"""

import argparse
import sys
from array import array
from dataclasses import dataclass

MASK = (1 << 64) - 1


@dataclass(frozen=True)
class Geometry:
    layers: int
    outer: int
    heads: int
    head_dim: int
    page: int


GEOMETRIES = {
    "llama-3.1-8b": Geometry(32, 2, 8, 128, 16),
    "llama-3.3-70b": Geometry(80, 2, 8, 128, 16),
    "qwen3-32b": Geometry(64, 2, 8, 128, 16),
    "qwen3-235b-a22b": Geometry(94, 2, 4, 128, 16),
    "deepseek-v3": Geometry(61, 1, 1, 576, 64),
    "gpt-oss-120b": Geometry(36, 2, 8, 64, 16),
    "mistral-large-2": Geometry(88, 2, 8, 128, 16),
    "smollm2-135m": Geometry(30, 2, 3, 64, 16),
}


def mix(z):
    z &= MASK
    z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ z >> 27) * 0x94D049BB133111EB) & MASK
    return z ^ z >> 31


def row(seed, place, row_bytes):
    """The bytes of the token row at place (block, layer, outer, token), over all heads."""
    key = seed
    for value in place:
        key = mix(key + value + 1)
    words = array("Q", [mix(key + i) for i in range((row_bytes + 7) // 8)])
    if sys.byteorder == "big":
        words.byteswap()
    return words.tobytes()[:row_bytes]


@dataclass(frozen=True)
class Dump:
    """What was pulled: which source blocks, of which shape, into what."""

    geometry: Geometry
    blocks: tuple  # source block ids in the order given
    page: int  # tokens in a destination block
    source_page: int
    dtype: int = 2
    layers: tuple = None  # that were pulled, half open; None: all
    seed: int = 0
    own_layers: tuple = None  # that the destination has, half open; None: all
    own_heads: tuple = None
    moved_heads: tuple = None  # that were pulled; None: all

    @property
    def layer_range(self):
        return range(*(self.own_layers or (0, self.geometry.layers)))

    @property
    def head_range(self):
        return range(*(self.own_heads or (0, self.geometry.heads)))

    @property
    def row_bytes(self):
        return len(self.head_range) * self.geometry.head_dim * self.dtype

    def own_row(self, place):
        """What of the whole model's row the destination holds once it was pulled."""
        head_bytes = self.geometry.head_dim * self.dtype
        whole = row(self.seed, place, self.geometry.heads * head_bytes)
        moved = range(*(self.moved_heads or (0, self.geometry.heads)))
        return b"".join(
            whole[head * head_bytes :][:head_bytes] if head in moved else bytes(head_bytes)
            for head in self.head_range
        )

    @property
    def destination_blocks(self):
        return len(self.blocks) * self.source_page // self.page

    def size(self):
        rows = len(self.layer_range) * self.geometry.outer * self.page
        return self.destination_blocks * rows * self.row_bytes

    def rows(self):
        """Destination index, layer, outer, token and expected bytes of every row of the dump."""
        first, end = self.layers or (0, self.geometry.layers)
        zeros = bytes(self.row_bytes)
        for index in range(self.destination_blocks):
            for layer in self.layer_range:
                for outer in range(self.geometry.outer):
                    for token in range(self.page):
                        expected = zeros
                        if first <= layer < end:
                            at, within = divmod(index * self.page + token, self.source_page)
                            place = (self.blocks[at], layer, outer, within)
                            expected = self.own_row(place)
                        yield (index, layer, outer, token), expected

    def expected(self):
        return b"".join(data for _, data in self.rows())

    def first_wrong(self, data):
        """Nothing when `data` is the dump, else one line that says where it is not."""
        if len(data) != self.size():
            return f"{len(data)} bytes, expected {self.size()}"
        offset = 0
        for place, expected in self.rows():
            found = data[offset : offset + self.row_bytes]
            if found != expected:
                byte = next(i for i in range(self.row_bytes) if found[i] != expected[i])
                return self.describe(place, byte, offset) + (
                    f": is 0x{found[byte]:02x}, expected 0x{expected[byte]:02x}"
                )
            offset += self.row_bytes
        return None

    def describe(self, place, byte, offset):
        index, layer, outer, token = place
        source = self.blocks[(index * self.page + token) // self.source_page]
        element, byte_of_element = divmod(byte, self.dtype)
        head, element = divmod(element, self.geometry.head_dim)
        head += self.head_range.start
        return (
            f"byte {offset + byte}: destination block number {index}, source block {source}, "
            f"layer {layer}, outer {outer}, token {token}, head {head}, element {element}, "
            f"byte {byte_of_element}"
        )


def parse_blocks(text):
    """Ids as `4,9,2` or inclusive ranges `0-63`, mixed."""
    blocks = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        blocks += range(int(first), int(last) + 1) if dash else [int(first)]
    return tuple(blocks)


def planted(dump):
    """Name and bytes of dumps that are wrong in the ways that transfers go wrong."""
    right = dump.expected()
    shape = dump.geometry
    row_bytes = dump.row_bytes
    region = dump.page * row_bytes
    head = shape.head_dim * dump.dtype
    block = len(right) // dump.destination_blocks
    at = block + region  # the second block's first V, not the beginning of the file
    swapped = right[at : at + region] + right[at - region : at]
    yield "K and V swapped", right[: at - region] + swapped + right[at + region :]
    yield "shifted by 256 bytes", right[:256] + right[:-256]
    one = right[at : at + row_bytes]
    heads = one[head : 2 * head] + one[:head] + one[2 * head :]
    yield "two heads swapped", right[:at] + heads + right[at + row_bytes :]
    stale_ids = (dump.blocks[0], dump.blocks[1] + 1, *dump.blocks[2:])
    stale = Dump(**{**dump.__dict__, "blocks": stale_ids})
    yield "a stale block", stale.expected()
    yield "one byte cut", right[:-1]
    yield "last bit flipped", right[:-1] + bytes([right[-1] ^ 1])
    other = Dump(**{**dump.__dict__, "seed": dump.seed + 1})
    yield "another seed", other.expected()


def self_test():
    """Finds every planted fault, in several shapes; the mixer against a published value."""
    # SplitMix64's first output for seed 0.
    assert mix(0x9E3779B97F4A7C15) == 0xE220A8397B1DCDAF
    small = GEOMETRIES["smollm2-135m"]
    shapes = {
        "plain": Dump(small, (4, 9, 2), 16, 16),
        "smaller pages": Dump(small, (4, 9), 8, 16, dtype=1),
        "larger pages": Dump(small, (4, 9, 2, 7), 32, 16, seed=5),
        "some layers": Dump(small, (4, 9), 16, 16, layers=(0, 3)),
        "a rank's part": Dump(small, (4, 9), 16, 16, own_layers=(3, 9), own_heads=(1, 3)),
    }
    for shape, dump in shapes.items():
        right = dump.expected()
        assert len(right) == dump.size() and dump.first_wrong(right) is None, shape
        for fault, data in planted(dump):
            found = dump.first_wrong(data)
            assert found is not None, f"{shape}: {fault} was not found"
            print(f"{shape}: {fault}: {found}")
    part, whole = shapes["a rank's part"], shapes["plain"]
    part_rows, whole_rows = dict(part.rows()), dict(whole.rows())
    head_bytes = part.geometry.head_dim * part.dtype
    assert part_rows[(1, 7, 1, 5)] == whole_rows[(1, 7, 1, 5)][head_bytes:]
    layers = shapes["some layers"]
    assert layers.first_wrong(Dump(small, (4, 9), 16, 16).expected()), "a layer too many"
    # Unequal pages move tokens, and the pattern stays that of the source's block and token.
    wide, narrow = shapes["larger pages"], Dump(small, (4, 9, 2, 7), 16, 16, seed=5)
    wide_rows = {place: data for place, data in wide.rows()}
    narrow_rows = {place: data for place, data in narrow.rows()}
    assert wide_rows[(0, 0, 1, 17)] == narrow_rows[(1, 0, 1, 1)]
    print("self-test: all planted faults found")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", help="what pull --dump wrote")
    parser.add_argument("--geometry", choices=sorted(GEOMETRIES), default="llama-3.1-8b")
    parser.add_argument("--blocks", type=parse_blocks, help="the source's block ids: 4,9,2 or 0-63")
    parser.add_argument("--page", type=int, help="tokens in a destination block")
    parser.add_argument("--source-page", type=int, help="tokens in a source block")
    parser.add_argument("--dtype", type=int, default=2, help="bytes of an element")
    parser.add_argument("--layers", help="F:T, half open: the layers that were pulled")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--self-test", action="store_true")
    options = parser.parse_args()
    if options.self_test:
        return self_test()
    if options.file is None or options.blocks is None:
        parser.error("needs --blocks and a file")
    geometry = GEOMETRIES[options.geometry]
    layers = tuple(int(part) for part in options.layers.split(":")) if options.layers else None
    dump = Dump(
        geometry=geometry,
        blocks=options.blocks,
        page=options.page or geometry.page,
        source_page=options.source_page or geometry.page,
        dtype=options.dtype,
        layers=layers,
        seed=options.seed,
    )
    with open(options.file, "rb") as file:
        data = file.read()
    wrong = dump.first_wrong(data)
    right = f"ok: {dump.destination_blocks} blocks, {len(data)} bytes"
    print(f"wrong: {wrong}" if wrong else right)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
