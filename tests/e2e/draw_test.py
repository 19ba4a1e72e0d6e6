# SPDX-License-Identifier: Apache-2.0
"""Goal: drawings are well-formed, hold what the messages and plans say, overlap nowhere, and stay
small, whatever they are given. Method: runs the built tool, given as the only argument, on every
message under vectors/ and on hostile and huge ones, and measures the SVG with a parser of XML."""
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree

TOOL = sys.argv.pop(1)
VECTORS = pathlib.Path(__file__).resolve().parents[2] / "vectors"
GOLDEN = VECTORS.parent / "tests" / "golden" / "envelope"
LLAMA = "geometry:llama-3.1-8b"
NAMESPACE = "{http://www.w3.org/2000/svg}"
ALLOWED = {"svg", "title", "defs", "pattern", "path", "style", "rect", "g", "text", "line",
           "polygon"}
DEADLINE_S = 60
MOST_BYTES = 300_000
# A hundredth is what is left of a number when it is written.
ROUNDING = 0.05


def run(*words, stdin=None):
    return subprocess.run([TOOL, *map(str, words)], input=stdin, capture_output=True,
                          timeout=DEADLINE_S, check=False)


class Drawing:
    """An SVG, taken apart."""

    def __init__(self, test, data):
        self.test = test
        test.assertLess(len(data), MOST_BYTES)
        self.root = ElementTree.fromstring(data)
        self.width, self.height = map(float, self.root.get("viewBox").split()[2:])
        self.texts = [e.text for e in self.root.iter(NAMESPACE + "text")]
        self.all_text = "\n".join(self.texts)

    def rects(self, group):
        """The rectangles of each group of a class, from left to right."""
        for found in self.root.iter(NAMESPACE + "g"):
            if group in found.get("class").split():
                yield [(*(float(r.get(k)) for k in ("x", "y", "width", "height")), r.get("class"))
                       for r in found.findall(NAMESPACE + "rect")]

    def check(self):
        for element in self.root.iter():
            tag = element.tag.removeprefix(NAMESPACE)
            self.test.assertIn(tag, ALLOWED)
            for name, value in element.attrib.items():
                self.test.assertFalse(name.startswith("on") or "href" in name, name)
                self.test.assertNotIn("nan", value)
                self.test.assertNotIn("inf", value)
        self.check_inside()
        for group in ("strip", "region", "memory"):
            for row in self.rects(group):
                for left, right in zip(row, row[1:]):
                    self.test.assertLessEqual(left[0] + left[2], right[0] + ROUNDING)
        for row in self.rects("strip"):  # The cells are the whole strip.
            self.test.assertAlmostEqual(sum(rect[2] for rect in row), 952, delta=1)
        return self

    def check_inside(self):
        body = [e for e in self.root if e.tag != NAMESPACE + "defs"]
        for element in (e for top in body for e in top.iter()):
            if element.tag == NAMESPACE + "rect":
                x, y, width, height = (float(element.get(k, 0))
                                       for k in ("x", "y", "width", "height"))
                self.test.assertGreaterEqual(min(x, y, width, height), 0, element.attrib)
                self.inside(x + width, y + height)
            elif element.tag == NAMESPACE + "text":
                size, x = float(element.get("font-size")), float(element.get("x"))
                # The narrowest that text can be; the writer's own measure is wider.
                half = len(element.text) * size * 0.3 / 2
                left = x - half if element.get("text-anchor") == "middle" else x
                self.test.assertGreaterEqual(left, -ROUNDING)
                self.inside(left + 2 * half, float(element.get("y")))
            elif element.tag == NAMESPACE + "line":
                self.inside(float(element.get("x2")), float(element.get("y2")))

    def inside(self, x, y):
        self.test.assertLessEqual(x, self.width + ROUNDING)
        self.test.assertLessEqual(y, self.height + ROUNDING)


class DrawTest(unittest.TestCase):
    def drawn(self, *words, stdin=None):
        result = run("draw", *words, stdin=stdin)
        self.assertEqual(result.returncode, 0, result.stderr)
        return Drawing(self, result.stdout).check()

    def planned(self, *words):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "plan.svg"
            result = run("plan", *words, "--svg", path)
            self.assertEqual(result.returncode, 0, result.stderr)
            return Drawing(self, path.read_bytes()).check()

    def encoded(self, value):
        result = run("encode", "--format", "a", stdin=json.dumps({"value": value}).encode())
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def value_of(self, name):
        return json.loads(run("inspect", "--json", VECTORS / name).stdout)["value"]

    def refused(self, result, code, message):
        self.assertEqual((result.returncode, result.stdout), (code, b""), result.stderr)
        self.assertIn(message, result.stderr.decode())


class Draw(DrawTest):
    def test_every_message_is_drawn_or_refused_with_a_reason(self):
        drawn = 0
        for row in json.loads((VECTORS / "vectors.json").read_text()):
            path = VECTORS / (row["name"] + ".bin")
            with self.subTest(row["name"]):
                result = run("draw", path)
                if result.returncode != 0:
                    self.refused(result, 3, f"{path}: ")
                    continue
                drawn += 1
                drawing = Drawing(self, result.stdout).check()
                worker = row["value"]["worker_address"]["worker_id"]
                self.assertIn(f"Memory map of worker {worker}", drawing.all_text)
                layouts = row["value"]["layouts"]
                for layout in layouts[:12]:
                    handle = layout["handle"]
                    self.assertIn(f"Layout {handle['layout_id']}: ", drawing.all_text)
                if len(layouts) > 12:
                    self.assertIn(f"{len(layouts) - 12} more layouts are not", drawing.all_text)
        self.assertGreater(drawn, 200)

    def test_a_model_of_one_region_a_layer(self):
        name = "a_model_llama_3_1_8b_ls1.bin"
        drawing = self.drawn(VECTORS / name)
        regions = self.value_of(name)["layouts"][0]["layout"]["memory_descriptors"]
        self.assertIn("32 regions of 256 MiB", drawing.all_text)
        for index in (0, 5, 31):
            self.assertIn(f"region {index}: layer {index}", drawing.all_text)
            self.assertIn(f"256 MiB at {regions[index]['addr']:#x}", drawing.all_text)
        self.assertIn("... 25 more: regions 6 to 30", drawing.all_text)
        self.assertIn("opaque, packed as NHD: 16 tokens of 1024 elements", drawing.all_text)
        told = self.drawn(VECTORS / name, "--assume", "heads=8")
        self.assertNotIn("opaque", told.all_text)
        self.assertIn("token 0, 2 KiB: 8 heads of 256 B", told.all_text)

    def test_region_bars_are_to_scale(self):
        value = self.value_of("a_model_llama_3_1_8b_ls1.bin")
        regions = value["layouts"][0]["layout"]["memory_descriptors"]
        regions[1]["size"] *= 2
        regions[2]["size"] += 1
        for i, region in enumerate(regions):
            region["addr"] = 0x1000 + i * 0x100000000
        bars = list(self.drawn("-", stdin=self.encoded(value)).rects("region"))
        widths = [sum(rect[2] for rect in bar) for bar in bars]
        self.assertEqual(len(bars), 7)
        self.assertAlmostEqual(widths[1], 2 * widths[0], delta=ROUNDING)
        self.assertAlmostEqual(bars[1][0][2], widths[0], delta=ROUNDING)  # Used as before.
        self.assertEqual([rect[4] for rect in bars[2]], ["bar", "unused"])
        self.assertEqual([rect[4] for rect in bars[0]], ["bar"])

    def test_names_of_peers_stay_text(self):
        value = self.value_of("a_model_llama_3_1_8b_fc.bin")
        name = "</text><script>alert(1)</script>\u0000\u001b[31m\u202e&\"' ]]>" + "x" * 3000
        value["worker_address"]["nixl_agent_name"] = name
        result = run("draw", "-", stdin=self.encoded(value))
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertNotIn(b"<script", result.stdout)
        self.assertTrue(all(b == 10 or 32 <= b < 127 for b in result.stdout))
        drawing = Drawing(self, result.stdout).check()
        self.assertIn('agent "</text><script>alert(1)</script>\\u0000\\u001b[31m', drawing.all_text)

    def test_no_layout_many_layouts_and_one_of_them(self):
        value = self.value_of("a_model_llama_3_1_8b_fc.bin")
        layout = value["layouts"][0]
        value["layouts"] = []
        self.assertIn("0 layouts", self.drawn("-", stdin=self.encoded(value)).all_text)
        for i in range(1000):
            copy = json.loads(json.dumps(layout))
            copy["handle"] = {"worker_id": "1234", "layout_id": i}
            value["layouts"].append(copy)
        with tempfile.NamedTemporaryFile() as file:
            file.write(self.encoded(value))
            file.flush()
            drawing = self.drawn(file.name)
            self.assertIn("988 more layouts are not drawn", drawing.all_text)
            self.assertEqual(drawing.all_text.count("Inside as in Layout 0"), 11)
            drawing = self.drawn(file.name + ":999")
            self.assertIn("Layout 999: ", drawing.all_text)
            self.assertNotIn("Layout 0: ", drawing.all_text)
            self.refused(run("draw", file.name + ":1000"), 3, "layout 1000 is none of its 1000")

    def test_the_largest_counts(self):
        value = self.value_of("a_model_llama_3_1_8b_ls1.bin")
        layout = value["layouts"][0]["layout"]
        config = layout["layout_config"]
        config.update(num_layers=65536, num_blocks=1, page_size=1, inner_dim=1)
        layout["memory_descriptors"] = [{"addr": 4096 * i, "size": 64} for i in range(65536)]
        drawing = self.drawn("-", stdin=self.encoded(value))
        self.assertIn("65536 regions of 64 B, 3.9 KiB apart", drawing.all_text)
        self.assertIn("region 65535: layer 65535", drawing.all_text)
        config.update(num_layers=1, num_blocks=2**51, page_size=16, inner_dim=64)
        layout["memory_descriptors"] = [{"addr": 0, "size": 2**64 - 1}]
        drawing = self.drawn("-", stdin=self.encoded(value))
        self.assertIn(f"region 0, 8 EiB: {2**51} blocks of 4 KiB", drawing.all_text)

    def test_descriptions_made_on_the_spot(self):
        for keys in ("", ",layout=ls,order=hnd", ",layout=ls2,blocks=1", ",order=utp,tp=3/8",
                     ",order=upp,pp=1/2", ",page=1,blocks=1,pp=0/32", ",page=4096,blocks=1000000"):
            with self.subTest(keys):
                drawing = self.drawn(LLAMA + keys)
                self.assertIn("without memory yet", drawing.all_text)
        self.assertIn("holds layers 0 to 31 of the model's 32, heads 3 to 3 of 8",
                      self.drawn(LLAMA + ",tp=3/8").all_text)

    def test_an_envelope_and_a_broken_layout_beside_a_good_one(self):
        value = self.value_of("a_model_llama_3_1_8b_tiers.bin")
        value["layouts"][1]["layout"]["layout_config"]["page_size"] = 0
        drawing = self.drawn("-", stdin=self.encoded(value))
        self.assertIn("Cannot be drawn: page_size", drawing.all_text)
        self.assertIn("Layout 0: ", drawing.all_text)
        del value["layouts"][2], value["layouts"][0]
        self.refused(run("draw", "-", stdin=self.encoded(value)), 3, "layout 1: page_size")
        drawing = self.drawn(GOLDEN / "several.kvfy")
        self.assertIn("message of format envelope", drawing.all_text)
        for title in ("Layout 0: ", "Layout 7: ", "Layout 65535: "):
            self.assertIn(title, drawing.all_text)
        self.assertIn("Cannot be drawn: outer_dim: 18446744073709551615", drawing.all_text)

    def test_planes_are_drawn_behind_their_layout(self):
        text = self.drawn(GOLDEN / "planes.kvfy").all_text
        self.assertIn("2 layouts with 2 planes in it", text)
        titles = [line for line in text.splitlines() if line.startswith("Layout 2")]
        self.assertEqual([title.split(":")[0] for title in titles],
                         ["Layout 2", 'Layout 2, plane "scales"', 'Layout 2, plane "sums"'])
        self.assertEqual(text.count('model "model-a@1", group "full"'), 1)
        only = self.drawn(f"{GOLDEN / 'planes.kvfy'}:2").all_text
        self.assertIn('Layout 2, plane "sums"', only)
        self.assertNotIn("Layout 1", only)

    def test_universal_orders_are_drawn(self):
        drawing = self.drawn(VECTORS / "b_kv_universal_tp_fc.bin")
        self.assertIn("Order: block, head, layer, K and V, token, element", drawing.all_text)
        self.refused(run("draw", VECTORS / "b_kv_custom_not_a_permutation_fc.bin"), 3, "layout 0: ")

    def test_output_and_refusals(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "map.svg"
            result = run("draw", LLAMA, "-o", path)
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertIn(b"1 of 1 layouts and planes drawn", result.stdout)
            self.assertEqual(path.read_bytes(), run("draw", LLAMA).stdout)  # The same each time.
            self.refused(run("draw", LLAMA, "-o", f"{folder}/none/map.svg"), 4, "none/map.svg")
            self.refused(run("draw", f"{folder}/none"), 4, "No such file")
        self.refused(run("draw"), 2, "FILE")
        self.refused(run("draw", LLAMA, "--assume", "heads=8"), 2, "is no message")
        self.refused(run("draw", LLAMA + ",dtype=3"), 3, "dtype_width_bytes: 3")
        self.refused(run("draw", "-", stdin=b""), 3, "-: ")
        self.refused(run("draw", VECTORS / "README.md"), 3, "README.md: ")


class Plan(DrawTest):
    def pieces(self, drawing, group):
        return [rect for row in drawing.rects(group) for rect in row
                if rect[4].startswith("piece")]

    def ribbons(self, drawing):
        """(left and right above, left and right below) of each."""
        found = []
        for path in drawing.root.iter(NAMESPACE + "path"):
            if (path.get("class") or "").startswith("ribbon"):
                n = [float(x) for x in re.findall(r"-?[\d.]+", path.get("d"))]
                found.append((n[0], n[-2], n[6], n[8]))
        return found

    def test_each_piece_is_joined_with_one_on_the_other_side(self):
        for words in (
                ("--from", LLAMA, "--to", LLAMA + ",layout=ls,order=hnd", "--blocks", "4,9:0,1"),
                ("--from", LLAMA + ",tp=0/2", "--from", LLAMA + ",tp=1/2", "--to", LLAMA,
                 "--blocks", "4,9,2:0-2"),
                ("--from", LLAMA, "--to", LLAMA + ",page=32", "--blocks", "4,9,2,7:0-1"),
                ("--from", LLAMA + ",pp=0/2", "--from", LLAMA + ",pp=1/2", "--to",
                 LLAMA + ",layout=ls2", "--blocks", "4:1"),
                ("--from", LLAMA, "--to", LLAMA, "--blocks", "0-63:0-63")):
            with self.subTest(words):
                drawing = self.planned(*words)
                ribbons = self.ribbons(drawing)
                above, below = (self.pieces(drawing, side) for side in ("source", "destination"))
                self.assertTrue(0 < len(ribbons) <= 128)
                for side, pieces in ((0, above), (2, below)):
                    self.assertEqual(len(pieces), len(ribbons))
                    ends = sorted((r[side], r[side + 1]) for r in ribbons)
                    for (left, right), rect in zip(ends, sorted(pieces)):
                        self.assertAlmostEqual(left, rect[0], delta=ROUNDING)
                        self.assertAlmostEqual(right, rect[0] + rect[2], delta=ROUNDING)

    def test_the_numbers_of_the_plan_are_there(self):
        drawing = self.planned("--from", LLAMA, "--to", LLAMA + ",layout=ls", "--blocks",
                               "4,9,2:0,1,2")
        self.assertIn("copyable; 3 block pairs, 6 MiB moved, 100 %", drawing.all_text)
        self.assertIn("96 copies, 192 before merging", drawing.all_text)
        self.assertIn("block 4 to block 0", drawing.all_text)
        self.assertIn("Left out: 2 more destination blocks.", drawing.all_text)

    def test_each_source_has_its_own_colour(self):
        drawing = self.planned("--from", LLAMA + ",tp=0/2", "--from", LLAMA + ",tp=1/2", "--to",
                               LLAMA, "--blocks", "4:0")
        classes = [rect[4] for rect in self.pieces(drawing, "destination")]
        self.assertEqual(classes, ["piece source0", "piece source1"] * 16)
        grid = next(drawing.rects("grid"))
        self.assertEqual([rect[4] for rect in grid if rect[4].startswith("piece")],
                         ["piece source0", "piece source1"])

    def test_what_nobody_gives_is_hatched(self):
        drawing = self.planned("--from", LLAMA + ",tp=0/2", "--to", LLAMA + ",order=hnd",
                               "--blocks", "4:0", "--partial")
        hatched = [rect for row in drawing.rects("destination") for rect in row
                   if rect[4] == "uncovered"]
        self.assertEqual(len(hatched), 1)
        self.assertIn("heads 4-7", drawing.texts)
        self.assertIn("50 % of the destination blocks", drawing.all_text)
        nothing = self.planned("--from", LLAMA + ",pp=0/2", "--to", LLAMA + ",pp=1/2",
                               "--blocks", "4:0", "--partial")
        self.assertIn("Nothing moves.", nothing.texts)

    def test_many_sources_and_many_layers_are_cut(self):
        sources = [word for i in range(16) for word in ("--from", f"{LLAMA},pp={i}/16")]
        drawing = self.planned(*sources, "--to", LLAMA, "--blocks", "0-63:0-63")
        self.assertIn("Left out: 8 of their 16 sources.", drawing.texts)
        self.assertIn("... 9 more sources", drawing.texts)
        value = self.value_of("a_model_llama_3_1_8b_ls1.bin")
        layout = value["layouts"][0]["layout"]
        layout["layout_config"].update(num_layers=65536, num_blocks=8, page_size=1, inner_dim=1)
        layout["memory_descriptors"] = [{"addr": 4096 * i, "size": 64} for i in range(65536)]
        with tempfile.NamedTemporaryFile() as file:
            file.write(self.encoded(value))
            file.flush()
            self.planned("--from", file.name, "--to", file.name, "--blocks", "0-7:0-7")

    def test_hostile_names(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "<script>\u0007&.a"
            path.write_bytes((VECTORS / "a_model_llama_3_1_8b_fc.bin").read_bytes())
            drawing = self.planned("--from", path, "--to", path, "--blocks", "0:1")
            self.assertIn("<script>?&.a", drawing.all_text)

    def test_standard_output_and_refusals(self):
        words = ("plan", "--from", LLAMA, "--to", LLAMA, "--blocks", "4:0")
        result = run(*words, "--svg", "-")
        self.assertEqual(result.returncode, 0, result.stderr)
        Drawing(self, result.stdout).check()
        self.assertIn(b"verdict      identical", result.stderr)
        self.assertEqual(run(*words, "--svg", "-").stdout, result.stdout)
        self.refused(run(*words, "--svg", "-", "--json"), 2, "svg: ")
        self.refused(run(*words, "--svg", "-", "--list"), 2, "svg: ")
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "plan.svg"
            self.refused(run(*words, "--svg", path / "none"), 4, "plan.svg/none")
            result = run(*words, "--svg", path, "--json")
            self.assertEqual(json.loads(result.stdout)["runs"], 1)
            path.unlink()
            run("plan", "--from", LLAMA, "--to", LLAMA + ",dtype=4", "--blocks", "0:0", "--svg",
                path)
            self.assertFalse(path.exists())


if __name__ == "__main__":
    unittest.main()
