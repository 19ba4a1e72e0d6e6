#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks `kvferry plan` against a model of its own, on random pairs of layouts.

Goal: every destination byte of a plan comes from the right source byte, exactly once, and no other
byte is named; the numbers of the summary are those of the list.
Method: the model walks over all (destination token, layer, outer, head) and takes the address of
each from the axis orders that the command line documents. Model and list are both brought into one
form, the longest pieces that are contiguous on both sides, which is equal exactly when the maps
from destination byte to source byte are.

    plan_model.py build/bin/kvferry [--pairs 1000] [--seed 1]

Exit: 0 all equal, 1 not.
"""

import argparse
import itertools
import json
import math
import random
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass

# Name: layers, outer, KV heads, head size, tokens in a block.
GEOMETRIES = {
    "llama-3.1-8b": (32, 2, 8, 128, 16),
    "qwen3-235b-a22b": (94, 2, 4, 128, 16),
    "deepseek-v3": (61, 1, 1, 576, 64),
    "gpt-oss-120b": (36, 2, 8, 64, 16),
    "smollm2-135m": (30, 2, 3, 64, 16),
}
LAYOUTS = ("fc", "ls", "ls2")
ORDERS = ("nhd", "hnd", "utp", "upp")
PAGES = (1, 8, 12, 16, 24, 32, 64)
ROWS_AIM = 6_000  # head rows of a pair, about; bounds the time


@dataclass(frozen=True)
class Side:
    geometry: str
    blocks: int
    layout: str
    order: str
    page: int
    dtype: int
    tp: tuple = (0, 1)
    pp: tuple = (0, 1)

    def heads(self):
        """First head and how many, of the whole model."""
        rank, ranks = self.tp
        heads = GEOMETRIES[self.geometry][2]
        first = rank * heads // ranks
        return first, max((rank + 1) * heads // ranks - first, 1)

    def layers(self):
        """First layer and how many, of the whole model."""
        rank, ranks = self.pp
        layers = GEOMETRIES[self.geometry][0]
        first = rank * layers // ranks
        return first, (rank + 1) * layers // ranks - first

    def spec(self, rng):
        """The SPEC; keys that hold their default are sometimes left out, and their order varies."""
        default = {"blocks": 64, "layout": "fc", "order": "nhd", "dtype": 2}
        default["page"] = GEOMETRIES[self.geometry][4]
        keys = [
            f"{key}={getattr(self, key)}"
            for key in ("blocks", "layout", "order", "page", "dtype")
            if getattr(self, key) != default[key] or rng.random() < 0.5
        ]
        keys += [
            f"{key}={rank}/{ranks}"
            for key, (rank, ranks) in (("tp", self.tp), ("pp", self.pp))
            if ranks > 1 or rng.random() < 0.3
        ]
        rng.shuffle(keys)
        return ",".join([f"geometry:{self.geometry}", *keys])

    def address(self, block, layer, outer, token, head):
        """Region and offset of the first byte of one head's elements; layer and head count here."""
        _, outers, _, head_dim, _ = GEOMETRIES[self.geometry]
        layers, heads = self.layers()[1], self.heads()[1]
        row = head_dim * self.dtype
        if self.order == "utp":
            inside = ((head * layers + layer) * outers + outer) * self.page + token
            return 0, (block * heads * layers * outers * self.page + inside) * row
        if self.order == "upp":
            inside = ((layer * heads + head) * outers + outer) * self.page + token
            return 0, (block * layers * heads * outers * self.page + inside) * row
        if self.order == "nhd":
            inside = (token * heads + head) * row
        else:
            inside = (head * self.page + token) * row
        piece = heads * self.page * row
        if self.layout == "fc":
            return 0, ((block * layers + layer) * outers + outer) * piece + inside
        if self.layout == "ls":
            return layer, (block * outers + outer) * piece + inside
        return layer, (outer * self.blocks + block) * piece + inside


@dataclass(frozen=True)
class Pair:
    source: Side
    destination: Side
    source_ids: tuple
    destination_ids: tuple
    layers: tuple  # half open
    partial: bool = False
    others: tuple = ()  # more sources, with the same blocks

    def sources(self):
        return (self.source, *self.others)

    def is_refused(self):
        """Whether the source holds too little, and no part will do."""
        return not self.partial and self.coverage() < 1

    def wanted(self):
        """Layers and heads of the destination that are selected, as ranges of the whole model."""
        first_layer, layers = self.destination.layers()
        first_head, heads = self.destination.heads()
        return (
            range(max(first_layer, self.layers[0]), min(first_layer + layers, self.layers[1])),
            range(first_head, first_head + heads),
        )

    def both(self, source):
        """What of that a source holds."""
        layers, heads = self.wanted()
        first_layer, has_layers = source.layers()
        first_head, has_heads = source.heads()
        return (
            [layer for layer in layers if first_layer <= layer < first_layer + has_layers],
            [head for head in heads if first_head <= head < first_head + has_heads],
        )

    def coverage(self):
        layers, heads = self.wanted()
        if not layers:
            return 1.0
        held = set()
        for source in self.sources():
            held.update(itertools.product(*self.both(source)))
        return len(held) / (len(layers) * len(heads))

    def rows(self, source=None):
        """(group, head, destination region, offset, source region, offset, bytes) of each row."""
        source = source or self.source
        _, outers, _, head_dim, _ = GEOMETRIES[source.geometry]
        layers, heads = self.both(source)
        from_layer, to_layer = source.layers()[0], self.destination.layers()[0]
        from_head, to_head = source.heads()[0], self.destination.heads()[0]
        row = head_dim * source.dtype
        for token in range(len(self.destination_ids) * self.destination.page):
            to_at, to_token = divmod(token, self.destination.page)
            from_at, from_token = divmod(token, source.page)
            to_block, from_block = self.destination_ids[to_at], self.source_ids[from_at]
            for layer in layers:
                for outer in range(outers):
                    group = (from_at, to_at, layer, outer)
                    for head in heads:
                        to = self.destination.address(
                            to_block, layer - to_layer, outer, to_token, head - to_head
                        )
                        origin = source.address(
                            from_block, layer - from_layer, outer, from_token, head - from_head
                        )
                        yield group, head, *to, *origin, row


def merged(pieces):
    """Pieces (destination region, offset, source region, offset, bytes) in their longest form.

    Raises ValueError when a destination byte appears twice.
    """
    result = []
    region = offset = source_region = source_offset = size = None
    for piece in sorted(pieces):
        if piece[0] == region:
            end = offset + size
            if piece[1] < end:
                raise ValueError(f"destination byte {piece[1]} of region {region} written twice")
            if piece[1] == end and piece[2] == source_region and piece[3] == source_offset + size:
                size += piece[4]
                continue
        if size:
            result.append((region, offset, source_region, source_offset, size))
        region, offset, source_region, source_offset, size = piece
    if size:
        result.append((region, offset, source_region, source_offset, size))
    return result


def expanded(runs, bytes_max):
    """The pieces of run lines; ValueError for a run that cannot be."""
    pieces = []
    total = 0
    for run in runs:
        from_region, from_offset, to_region, to_offset, size, count, from_stride, to_stride = run
        total += size * count
        if size == 0 or count == 0 or total > bytes_max:
            raise ValueError(f"run {run}: empty, or more than {bytes_max} bytes in all")
        if count == 1 and (from_stride, to_stride) != (0, 0):
            raise ValueError(f"run {run}: a stride for one piece")
        pieces += [
            (to_region, to_offset + i * to_stride, from_region, from_offset + i * from_stride, size)
            for i in range(count)
        ]
    return pieces


def expected_summary(pair, rows):
    groups = {}
    for group, _, *piece in rows:
        groups.setdefault(group, []).append(tuple(piece))
    useful = sum(row[-1] for row in rows)
    return {
        "ok": True,
        "reasons_empty": verdict(pair) != "needs reordering",
        "verdict": verdict(pair),
        "bytes_useful": useful,
        "bytes_moved": useful,
        "runs_before": sum(len(merged(pieces)) for pieces in groups.values()),
        "coverage": pair.coverage(),
        "route": "host copy",
    }


def token_outside_head(side):
    return side.order == "nhd"


def verdict(pair):
    source, destination = pair.source, pair.destination
    told_apart = all(side.heads()[1] > 1 and side.page > 1 for side in (source, destination))
    if token_outside_head(source) != token_outside_head(destination) and told_apart:
        return "needs reordering"
    return "identical" if steps(source) == steps(destination) else "copyable"


def steps(side):
    """What one step on each axis is worth, with the extents: all that an address depends on."""
    outers = GEOMETRIES[side.geometry][1]
    extents = (side.blocks, side.layers()[1], outers, side.page, side.heads()[1])
    places = [[int(i == axis) for i in range(5)] for axis in range(5) if extents[axis] > 1]
    parts = side.layers(), side.heads()
    return extents, parts, [side.address(*place) for place in places]


def check_summary(pair, summary, runs, rows):
    expected = expected_summary(pair, rows)
    sizes = [run[4] for run in runs]
    expected["runs"] = sum(run[5] for run in runs)
    expected["smallest_run"] = min(sizes, default=0)
    expected["largest_run"] = max(sizes, default=0)
    found = {**summary, "reasons_empty": summary.get("reasons") == []}
    # What a pair is where nothing moves, or blocks are cut, the documents leave open.
    if rows and pair.source.page == pair.destination.page:
        expected["block_pairs"] = len(pair.destination_ids)
    for field, value in expected.items():
        if found.get(field) != value:
            raise ValueError(f"{field}: {found.get(field)}, expected {value}")
    if expected["runs"] > expected["runs_before"]:
        raise ValueError(f"more runs than before merging: {expected}")


def random_rank(rng, most, multiples_of=None):
    """A rank of up to `most` ranks, or of a few times as many heads."""
    if rng.random() < 0.6:
        return 0, 1
    ranks = rng.randrange(2, most + 1) if most > 1 else 1
    if multiples_of and rng.random() < 0.3:
        ranks = multiples_of * rng.randrange(2, 4)
    return rng.randrange(ranks), ranks


def random_side(rng, geometry, dtype):
    page = rng.choice(PAGES) if rng.random() < 0.6 else GEOMETRIES[geometry][4]
    order = rng.choice(ORDERS)
    layers, _, heads, _, _ = GEOMETRIES[geometry]
    return Side(
        geometry=geometry,
        blocks=0,
        layout=rng.choice(LAYOUTS) if order in ("nhd", "hnd") else "fc",
        order=order,
        page=page,
        dtype=dtype,
        tp=random_rank(rng, heads, heads),
        pp=random_rank(rng, min(layers, 4)),
    )


def with_blocks(side, blocks):
    return Side(**{**side.__dict__, "blocks": blocks})


def random_ids(rng, blocks, count, unique):
    """Ids in one of several orders: any, a range upwards, or downwards."""
    kind = rng.choice(("any", "up", "up", "down"))
    if kind == "any":
        ids = rng.sample(range(blocks), count) if unique else rng.choices(range(blocks), k=count)
        return tuple(ids)
    first = rng.randrange(blocks - count + 1)
    ids = tuple(range(first, first + count))
    return ids if kind == "up" else ids[::-1]


def random_pair(rng):
    geometry = rng.choice(tuple(GEOMETRIES))
    layers, outers, heads, _, _ = GEOMETRIES[geometry]
    dtype = rng.choice((1, 2))
    source, destination = (random_side(rng, geometry, dtype) for _ in range(2))
    if rng.random() < 0.3:
        destination = Side(**{**destination.__dict__, "page": source.page})
    tokens = math.lcm(source.page, destination.page) * rng.randrange(1, 5)
    source_count, destination_count = tokens // source.page, tokens // destination.page
    source = with_blocks(source, source_count + rng.randrange(5))
    destination = with_blocks(destination, destination_count + rng.randrange(5))
    if rng.random() < 0.2:
        most = max(source.blocks, destination.blocks)
        source, destination = with_blocks(source, most), with_blocks(destination, most)
    fitting = max(1, ROWS_AIM // (tokens * outers * heads))
    count = min(layers, rng.randrange(1, fitting + 1) if rng.random() < 0.95 else 0)
    if rng.random() < 0.05 and tokens * outers * heads * layers < 4 * ROWS_AIM:
        count = layers
    first = rng.randrange(layers - count + 1)
    if rng.random() < 0.7:
        first = min(first, destination.layers()[0])
    return Pair(
        source,
        destination,
        random_ids(rng, source.blocks, source_count, unique=False),
        random_ids(rng, destination.blocks, destination_count, unique=True),
        (first, first + count),
        rng.random() < 0.5,
        random_others(rng, source),
    )


def random_others(rng, source):
    """More sources with the same blocks: the other ranks of a group, or any parts."""
    layers, _, heads, _, _ = GEOMETRIES[source.geometry]
    others = []
    if rng.random() < 0.5:
        return ()
    for _ in range(rng.randrange(1, 4)):
        side = random_side(rng, source.geometry, source.dtype)
        tp, pp = side.tp, side.pp
        if rng.random() < 0.7:  # Another rank of the same group.
            tp = (rng.randrange(source.tp[1]), source.tp[1])
            pp = (rng.randrange(source.pp[1]), source.pp[1])
        blocks = source.blocks + rng.randrange(3)
        others.append(
            Side(**{**side.__dict__, "page": source.page, "blocks": blocks, "tp": tp, "pp": pp}))
    if source.tp[1] > 1 and rng.random() < 0.6:  # All ranks of it.
        others = [Side(**{**source.__dict__, "tp": (rank, source.tp[1])})
                  for rank in range(source.tp[1]) if rank != source.tp[0]]
    rng.shuffle(others)
    return tuple(others)


def text_of_ids(rng, ids):
    """Ids as a list, with ranges where they go up by one, at times."""
    parts = []
    for block in ids:
        if parts and block == parts[-1][1] + 1 and rng.random() < 0.8:
            parts[-1][1] = block
        else:
            parts.append([block, block])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)


def command_of(rng, tool, pair):
    ids = f"{text_of_ids(rng, pair.source_ids)}:{text_of_ids(rng, pair.destination_ids)}"
    command = [tool, "plan", "--to", pair.destination.spec(rng)]
    for source in pair.sources():
        command += ["--from", source.spec(rng)]
    command += ["--blocks", ids, "--list"]
    all_layers = (0, GEOMETRIES[pair.source.geometry][0])
    if pair.layers != all_layers or rng.random() < 0.5:
        command += ["--layers", f"{pair.layers[0]}:{pair.layers[1]}"]
    return command + ["--partial"] * pair.partial


def check_pair(pair, command, as_json):
    """Runs the tool on one pair; ValueError says what differs."""
    done = subprocess.run(
        command + (["--json"] if as_json else []), capture_output=True, text=True, timeout=60
    )
    if pair.is_refused():
        if done.returncode != 3 or "not cover" not in done.stderr:
            raise ValueError(f"exit {done.returncode}, not refused: {done.stderr.strip()}")
        return
    if done.returncode != 0:
        raise ValueError(f"exit {done.returncode}: {done.stderr.strip()}")
    if as_json:
        summary = json.loads(done.stdout)
        runs = summary["runs_list"]
    else:
        runs = [[int(word) for word in line.split()] for line in done.stdout.splitlines()]
    if any(len(run) != (9 if pair.others else 8) for run in runs):
        raise ValueError("a run line without its 8 numbers, or 9 with several sources")
    if pair.others:
        check_gather(pair, runs, summary if as_json else None)
        return
    rows = list(pair.rows())
    expected = merged([row[2:] for row in rows])
    found = merged(expanded(runs, sum(row[-1] for row in rows)))
    if found != expected:
        wrong = sorted(set(found) ^ set(expected))[:4]
        raise ValueError(
            "(destination region, offset, source region, offset, bytes) on one side only: "
            + ", ".join(f"{'list' if piece in found else 'model'} {piece}" for piece in wrong)
        )
    if as_json:
        check_summary(pair, summary, runs, rows)


def check_gather(pair, runs, summary):
    """Each row of the destination once, from any source that holds it, and as much from each."""
    allowed = {}
    cells = {}
    for number, source in enumerate(pair.sources()):
        for group, head, to_region, to_offset, region, offset, _ in pair.rows(source):
            cells[to_region, to_offset] = (group[2], head)
            allowed.setdefault((to_region, to_offset), set()).add((number, region, offset))
    left = dict(allowed)
    row = GEOMETRIES[pair.source.geometry][3] * pair.source.dtype
    moved = 0
    given = {}
    for source, *run in runs:
        for piece in expanded([run], len(allowed) * row):
            to_region, to_offset, region, offset, bytes_of_piece = piece
            if bytes_of_piece % row:
                raise ValueError(f"run {run}: not whole rows of {row} bytes")
            for at in range(0, bytes_of_piece, row):
                places = left.pop((to_region, to_offset + at), set())
                if (source, region, offset + at) not in places:
                    raise ValueError(f"run {run} of source {source}: written twice, or not so")
                holders = tuple(sorted(number for number, _, _ in places))
                counts = given.setdefault(cells[to_region, to_offset + at] + (holders,), Counter())
                counts[source] += 1
            moved += bytes_of_piece
    if left:
        raise ValueError(f"{len(left)} rows are missing, such as {next(iter(left))}")
    check_shares(pair, given)
    if summary is not None:
        expected = {"ok": True, "bytes_useful": moved, "bytes_moved": moved,
                    "runs": sum(run[6] for run in runs),
                    "smallest_run": min((run[5] for run in runs), default=0),
                    "largest_run": max((run[5] for run in runs), default=0)}
        for field, value in expected.items():
            if summary[field] != value:
                raise ValueError(f"{field}: {summary[field]}, expected {value}")
        if not math.isclose(summary["coverage"], pair.coverage()):
            raise ValueError(f"coverage: {summary['coverage']}, expected {pair.coverage()}")


def check_shares(pair, given):
    """What several sources hold comes from each in equal numbers of pieces of whole blocks.

    given: of (layer, head, holders), how many rows came from which source.
    """
    outers = GEOMETRIES[pair.source.geometry][1]
    piece = math.lcm(pair.source.page, pair.destination.page) * outers
    for (layer, head, holders), counts in given.items():
        shares = [counts[source] for source in holders]
        if max(shares) - min(shares) > piece:
            raise ValueError(f"layer {layer}, head {head}: sources {holders} give {shares} rows")


def kinds_of(pair):
    source, destination = pair.source, pair.destination
    keys = ("layout", "order", "page", "tp", "pp")
    differing = sum(getattr(source, key) != getattr(destination, key) for key in keys)
    layers = GEOMETRIES[source.geometry][0]
    moved = pair.layers[1] - pair.layers[0]
    yield f"{differing} keys differ"
    yield f"{source.layout} -> {destination.layout}"
    yield f"{source.order} -> {destination.order}"
    if source.page == destination.page:
        yield "pages equal"
    elif source.page % destination.page and destination.page % source.page:
        yield "pages that are no multiple of each other"
    else:
        yield "pages larger" if destination.page > source.page else "pages smaller"
    if pair.is_refused():
        yield "refused, not covered"
    elif pair.coverage() < 1:
        yield "partial" if pair.coverage() else "nothing in common"
    if pair.others:
        yield "kind: several sources"
        held = Counter()
        for one in pair.sources():
            held.update(itertools.product(*pair.both(one)))
        if any(count > 1 for count in held.values()):
            yield "replicated"
    for key in keys:
        if getattr(source, key) != getattr(destination, key):
            yield f"kind: {key}"
    if len(set(pair.source_ids)) < len(pair.source_ids):
        yield "source ids repeat"
    yield "all layers" if moved == layers else "some layers" if moved else "no layer"
    yield source.geometry


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tool", help="the built kvferry")
    parser.add_argument("--pairs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    rng = random.Random(options.seed)
    counts = Counter()
    started = time.monotonic()
    for number in range(options.pairs):
        pair = random_pair(rng)
        command = command_of(rng, options.tool, pair)
        counts.update(kinds_of(pair))
        as_json = number % 2 == 1
        counts["with summary"] += as_json
        try:
            check_pair(pair, command, as_json)
        except (ValueError, KeyError) as error:
            print(f"pair {number}: {error}\n  {' '.join(command)}")
            return 1
    for kind, count in sorted(counts.items()):
        print(f"{count:6} {kind}")
    unlike = sum(counts[f"{number} keys differ"] for number in (3, 4, 5))
    print(f"{options.pairs} pairs equal in {time.monotonic() - started:.1f} s")
    if 4 * unlike < options.pairs:
        print(f"only {unlike} pairs differ in three keys or more")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
