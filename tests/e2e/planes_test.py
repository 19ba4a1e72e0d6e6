# SPDX-License-Identifier: Apache-2.0
"""Goal: plan and diff of messages whose layouts have planes count, list and compare all of them,
from one source or several, and say which source or plane a refusal is about. Method: runs the
built tool, given as the only argument, on messages made from the golden one: cut into the heads of
tensor parallel ranks, and changed in one thing; the bytes are counted here."""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

TOOL = sys.argv.pop(1)
GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden/envelope/planes.kvfy"
PLANES = f"{GOLDEN}:2"
LAYERS, TOKENS, DATA, SCALE, SUM = 3, 4, 32, 4, 2
HEAD = 2 * DATA // 2 + SCALE  # bytes of one token's half of the data, and of its scale


def run(*words, data=None):
    return subprocess.run([TOOL, *map(str, words)], capture_output=True, input=data, timeout=20,
                          check=False)


def plan(sources, destination, *more, blocks="0:1"):
    return run("plan", *(word for path in sources for word in ("--from", path)),
               "--to", destination, "--blocks", blocks, *more)


def only_layout_2():
    document = json.loads(run("inspect", "--json", GOLDEN).stdout)["value"]
    document["layouts"] = [layout for layout in document["layouts"] if layout["id"] == 2]
    return document


def with_heads(document, first, heads, whole):
    """The part of a model of `whole` heads that `heads` of them from `first` on are."""
    for layout in document["layouts"]:
        if layout.get("plane") == "sums":
            continue
        config, strides = layout["config"], layout["strides"]["bytes"]
        config["inner_dim"] = config["inner_dim"] // config["num_heads"] * heads
        config["num_heads"] = heads
        for axis in range(4):
            strides[axis] = strides[axis] // 2 * heads
        layout["heads"] = {"first": first, "model": whole}
    return document


class Planes(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)

    def message(self, name, document):
        written = run("encode", "--format", "envelope",
                      data=json.dumps({"format": "envelope", "value": document}).encode())
        self.assertEqual(written.returncode, 0, written.stderr)
        path = pathlib.Path(self.directory.name) / f"{name}.kvfy"
        path.write_bytes(written.stdout)
        return str(path)

    def part(self, first, heads, whole=4, **changes):
        document = with_heads(only_layout_2(), first, heads, whole)
        for layout in document["layouts"]:
            layout.update(changes)
        return self.message(f"{first}-{heads}-{'-'.join(changes)}", document)

    def ends(self, result, code, message):
        self.assertEqual(result.returncode, code, result.stderr)
        self.assertIn(message, result.stderr.decode())

    def answer(self, result):
        self.assertEqual(result.returncode, 0, result.stderr)
        return json.loads(result.stdout)

    def test_they_are_planned_with_their_data(self):
        document = self.answer(plan([PLANES], PLANES, "--json", "--list"))
        self.assertEqual((document["verdict"], document["planes"]),
                         ("identical", ["scales", "sums"]))
        self.assertEqual(document["bytes_useful"], LAYERS * 2 * TOKENS * (2 * HEAD + SUM))
        self.assertEqual(document["bytes_moved"], document["bytes_useful"])
        self.assertEqual(sum(size * count for _, _, _, _, size, count, _, _
                             in document["runs_list"]), document["bytes_useful"])
        regions = {run[0] for run in document["runs_list"]}
        self.assertEqual(regions, {0, 1, 2, 3, 4}, "of the data, the scales, the sums by layer")
        self.assertIn(b"planes       scales, sums, moved with", plan([PLANES], PLANES).stdout)

    def test_they_come_from_several_ranks(self):
        ranks, whole = [self.part(0, 2), self.part(2, 2)], self.part(0, 4)
        document = self.answer(plan(ranks, whole, "--json", "--list"))
        self.assertEqual(document["bytes_moved"], LAYERS * 2 * TOKENS * (4 * HEAD + SUM))
        self.assertEqual(document["coverage"], 1)
        places = set()
        for source, _, _, region, offset, size, count, _, stride in document["runs_list"]:
            for piece in range(count):
                begin = offset + piece * stride
                for byte in range(begin, begin + size):
                    # Region 1 is region 0 once more, for the scales.
                    place = (0 if region == 1 else region, byte)
                    self.assertNotIn(place, places)
                    places.add(place)
                    if region < 2:
                        self.assertEqual(source, byte % (4 * HEAD) // (2 * HEAD))
        self.assertEqual(len(places), document["bytes_moved"])

    def test_a_part_of_the_heads_is_a_part_of_the_blocks(self):
        one, whole = self.part(0, 2), self.part(0, 4)
        self.ends(plan([one], whole), 3, "does not cover heads 2:4")
        document = self.answer(plan([one], whole, "--partial", "--json"))
        self.assertEqual(document["coverage"], 0.5, "that of the worst: the sums are all there")
        self.assertEqual(document["bytes_moved"], LAYERS * 2 * TOKENS * (2 * HEAD + SUM))

    def test_a_plane_of_one_side_only_is_impossible(self):
        bare = "geometry:smollm2-135m,blocks=2"
        self.ends(plan([PLANES], bare), 3, 'plane "scales" against no "scales"')
        self.ends(plan([bare], PLANES), 3, 'plane no "scales" against "scales"')
        found = run("diff", PLANES, bare)
        self.assertEqual(found.returncode, 1, found.stderr)
        self.assertIn(b'plane "scales" against no "scales"', found.stdout)

    def test_a_source_of_another_model_or_group_is_named(self):
        ranks = [self.part(0, 2, model="a"), self.part(2, 2, model="b")]
        self.ends(plan(ranks, self.part(0, 4, model="b")), 3,
                  'source 0: model "a" against "b": ')
        told = plan(ranks, self.part(0, 4, model=""), "--json")
        self.ends(told, 3, 'source 1: model "b" against "a" of source 0: ')
        document = json.loads(told.stdout)
        self.assertEqual([(reason["source"], reason["field"]) for reason in document["reasons"]],
                         [(1, "model")])
        ranks = [self.part(0, 2, model="", group="x"), self.part(2, 2, model="", group="y")]
        self.ends(plan(ranks, self.part(0, 4, group="")), 3,
                  'source 1: group "y" against "x" of source 0: ')

    def test_diff_tells_the_parts_that_planes_hold(self):
        document = with_heads(only_layout_2(), 0, 2, 4)
        left = self.message("left", document)
        scales = next(one for one in document["layouts"] if one.get("plane") == "scales")
        scales["heads"]["first"] = 2
        found = run("diff", left, self.message("right", document))
        self.assertEqual(found.returncode, 1, found.stderr)
        self.assertIn(b'plane "scales": heads 0:2 of 4 against 2:4 of 4', found.stdout)

    def test_the_drawing_tells_what_it_leaves_out(self):
        drawing = plan([PLANES], PLANES, "--svg", "-").stdout.decode()
        self.assertIn("counted, but not drawn: planes scales, sums", drawing)


if __name__ == "__main__":
    unittest.main()
