# SPDX-License-Identifier: Apache-2.0
"""Goal: inspect, encode and validate do what they say with every message under vectors/, good or
bad, and with odd input. Method: runs the built tool, given as the only argument,
and compares with what the original wrote; nothing of kvferry is imported."""
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

TOOL = sys.argv.pop(1)
VECTORS = pathlib.Path(__file__).resolve().parents[2] / "vectors"
DEADLINE_S = 60


def run(*words, stdin=b""):
    return subprocess.run([TOOL, *map(str, words)], input=stdin, capture_output=True,
                          timeout=DEADLINE_S, check=False)


def rows(name, formats="AB"):
    return [row for row in json.loads((VECTORS / name).read_text()) if row["format"] in formats]


def expected_value(row, message):
    """The row's value with the blob whole: vectors.json gives long ones by length and digest."""
    value = json.loads(json.dumps(row["value"]))
    blob = value["nixl_metadata"]
    if isinstance(blob, dict):
        found = [message[i:i + blob["length"]] for i in range(len(message) - blob["length"] + 1)]
        whole = [b for b in found if hashlib.sha256(b).hexdigest() == blob["sha256"]]
        value["nixl_metadata"] = whole[0].hex()
    return value


class Messages(unittest.TestCase):
    def refused(self, result, code):
        self.assertEqual(result.returncode, code, result.stderr)
        if "--json" in result.args and code != 2:
            document = json.loads(result.stdout)
            self.assertFalse(document["ok"])
            self.assertTrue(document["error"]["message"])
        else:
            self.assertEqual(result.stdout, b"")
        self.assertTrue(result.stderr.startswith(b"kvferry: "), result.stderr)

    def test_every_message_is_inspected_and_encoded_back(self):
        all_rows = rows("vectors.json")
        self.assertEqual(len(all_rows), 133 + 160)
        for row in all_rows:
            ambiguous = not row["value"]["layouts"]
            with self.subTest(row["name"]):
                path = VECTORS / (row["name"] + ".bin")
                message = path.read_bytes()
                inspected = run("inspect", "--json", path)
                self.assertEqual(inspected.returncode, 0, inspected.stderr)
                document = json.loads(inspected.stdout)
                self.assertEqual(document, {
                    "format": "A" if ambiguous else row["format"], "ambiguous": ambiguous,
                    "canonical": True,
                    "bytes": row["bytes"], "lint": row["lint"],
                    "value": expected_value(row, message)})
                encoded = run("encode", stdin=inspected.stdout)
                self.assertEqual(encoded.returncode, 0, encoded.stderr)
                self.assertEqual(encoded.stdout, message)

    def test_fourteen_pairs_of_messages_are_ambiguous(self):
        found = {}
        for row in rows("vectors.json"):
            if not row["value"]["layouts"]:
                found.setdefault(row["sha256"], []).append(row)
        self.assertEqual(len(found), 14)
        for a, b in found.values():
            self.assertEqual((a["format"], b["format"]), ("A", "B"))
            result = run("inspect", "--json", "--format", "b", VECTORS / (a["name"] + ".bin"))
            document = json.loads(result.stdout)
            self.assertEqual((document["format"], document["ambiguous"]), ("B", True))

    def check_verdict(self, message, row):
        words = ("inspect", "--json", "--format", row["format"].lower(), "-")
        result = run(*words, stdin=message)
        if row["kvferry_decode"] == "ok":
            self.assertEqual(result.returncode, 0, result.stderr)
            document = json.loads(result.stdout)
            self.assertEqual(document["lint"], row["lint"])
            if "value" in row:
                self.assertEqual(document["value"], row["value"])
                self.assertEqual(document["canonical"], row["canonical"])
        else:
            self.refused(result, 3)
            self.assertRegex(result.stderr.decode(), r"^kvferry: [a-z_.\[\]0-9A-Za-z]+ at \d+: ")

    def test_every_hostile_message_is_met_as_said(self):
        for row in rows("hostile.json"):
            with self.subTest(row["name"]):
                self.check_verdict(bytes.fromhex(row["hex"]), row)

    def test_every_flipped_bit_is_met_as_said(self):
        for base in rows("bitflips.json"):
            message = (VECTORS / (base["base"] + ".bin")).read_bytes()
            for flip in base["flips"]:
                with self.subTest(bit=flip["bit"]):
                    flipped = bytearray(message)
                    flipped[flip["bit"] // 8] ^= 1 << flip["bit"] % 8
                    self.check_verdict(bytes(flipped), {"format": base["format"], **flip})

    def test_what_is_not_said_to_be_in_a_format_is_in_neither_or_found(self):
        for row in rows("hostile.json"):
            with self.subTest(row["name"], format=row["format"]):
                result = run("inspect", "--json", "-", stdin=bytes.fromhex(row["hex"]))
                self.assertIn(result.returncode, (0, 3), result.stderr)
                if row["kvferry_decode"] == "ok":
                    self.assertEqual(result.returncode, 0, result.stderr)

    def test_inspect_tells_a_person_what_matters(self):
        result = run("inspect", VECTORS / "a_layer_separate_device.bin")
        self.assertEqual(result.returncode, 0)
        for part in ("format   A, canonical, 372 B", 'worker   7, agent "worker-7"', "Device(3)",
                     "layer separate (block second)", "NHD"):
            self.assertIn(part, result.stdout.decode())
        result = run("inspect", VECTORS / "b_kv_custom_reversed_fc.bin")
        for part in ("format   B, canonical", "Custom"):
            self.assertIn(part, result.stdout.decode())
        result = run("inspect", VECTORS / "a_agent_space_nul_quote.bin")
        self.assertNotIn(b"\0", result.stdout)
        self.assertIn(b"agent_name_empty_or_control", result.stdout)

    def test_validate_says_one_line_a_file(self):
        good, odd, other = (VECTORS / name for name in ("a_many_100.bin", "a_seed_pack_unpack.bin",
                                                        "b_many_100.bin"))
        with tempfile.TemporaryDirectory() as directory:
            bad = pathlib.Path(directory) / "cut.bin"
            bad.write_bytes(good.read_bytes()[:-1])
            result = run("validate", good, odd, other)
            self.assertEqual(result.returncode, 0)
            self.assertEqual(result.stdout.decode().splitlines(),
                             [f"{good}: ok", f"{odd}: ok; lint: agent_name_mismatch",
                              f"{other}: ok"])
            self.assertEqual(run("validate", "--strict", good, other).returncode, 0)
            strict = run("validate", "--strict", good, odd)
            self.assertEqual(strict.returncode, 1)
            self.assertIn(b'"test" is not the worker', strict.stdout)
            mixed = run("validate", "--strict", odd, bad, good)
            self.assertEqual(mixed.returncode, 3)
            self.assertEqual(len(mixed.stdout.splitlines()), 3)
            self.assertEqual(run("validate", bad, "/nonexistent").returncode, 4)

    def test_validate_prints_json(self):
        odd, other = VECTORS / "a_field_version.bin", VECTORS / "b_kv_universal_tp_ls1.bin"
        result = run("validate", "--json", odd, other, "-", stdin=b"1")
        self.assertEqual(result.returncode, 3)
        document = json.loads(result.stdout)
        self.assertEqual(document[0], {
            "file": str(odd), "ok": True, "format": "A", "error": None,
            "lint": ["agent_name_mismatch", "version_unsupported", "version_zero"]})
        self.assertEqual((document[1]["format"], document[1]["lint"]),
                         ("B", ["layer_separate_order"]))
        self.assertEqual([document[2][key] for key in ("ok", "format", "lint")], [False, None, []])
        self.assertIn(" at ", document[2]["error"])

    def test_one_byte_elements_are_reported_and_not_refused(self):
        row = next(r for r in rows("vectors.json") if r["name"] == "a_block_dim_first")
        value = row["value"]
        value["layouts"][0]["layout"]["layout_config"]["dtype_width_bytes"] = 1
        message = run("encode", stdin=json.dumps({"value": value}).encode()).stdout
        result = run("validate", "--strict", "-", stdin=message)
        self.assertEqual(result.returncode, 0, result.stdout)
        self.assertIn(b"dtype_width", result.stdout)

    def test_odd_input(self):
        self.refused(run("inspect", "-"), 3)
        self.refused(run("inspect", "/nonexistent"), 4)
        self.refused(run("inspect", VECTORS), 4)
        self.refused(run("inspect", "/dev/zero"), 3)
        self.refused(run("encode", "/nonexistent"), 4)
        for words in ([], ["frob"], ["inspect"], ["inspect", "a", "b"], ["validate"],
                      ["inspect", "--format", "z", "x"], ["inspect", "--frob", "x"],
                      ["encode", "--format", "z"], ["encode", "--format"]):
            with self.subTest(words):
                self.refused(run(*words), 2)
        self.assertIn(b"frob", run("frob").stderr)
        self.assertEqual(run("inspect", "--format", "a", VECTORS / "a_blob_0.bin").returncode, 0)
        with open("/dev/full", "wb") as full:
            result = subprocess.run([TOOL, "inspect", VECTORS / "a_blob_0.bin"], stdout=full,
                                    stderr=subprocess.PIPE, timeout=DEADLINE_S, check=False)
        self.assertEqual(result.returncode, 4)

    def test_help_and_version(self):
        for command in ("inspect", "encode", "validate", "version"):
            result = run(command, "--help")
            self.assertEqual(result.returncode, 0)
            example = result.stdout.decode().partition("Example: ")[2]
            self.assertIn(f"kvferry {command}", example)
        self.assertEqual(run("--help").returncode, 0)
        self.assertTrue(run("version").stdout.startswith(b"kvferry "))
        document = json.loads(run("version", "--json").stdout)
        self.assertEqual(set(document), {"version", "commit", "compiler", "components", "agents"})


class Encode(unittest.TestCase):
    def setUp(self):
        row = next(r for r in rows("vectors.json") if r["name"] == "a_seed_pack_unpack")
        self.value = row["value"]
        self.message = bytes.fromhex(row["hex"])

    def encode(self, document, *words):
        text = document if isinstance(document, bytes) else json.dumps(document).encode()
        return run("encode", *words, stdin=text)

    def refused(self, document, part, *words):
        result = self.encode(document, *words)
        self.assertEqual(result.returncode, 3, result.stderr)
        self.assertEqual(result.stdout, b"")
        self.assertIn(f"kvferry: {part}".encode(), result.stderr)

    def changed(self, path, value):
        """A document with one value replaced, or taken away."""
        document = {"value": json.loads(json.dumps(self.value))}
        node = document["value"]
        for step in path[:-1]:
            node = node[step]
        if value is None:
            del node[path[-1]]
        else:
            node[path[-1]] = value
        return document

    def test_needs_only_what_it_cannot_derive(self):
        handle = ["layouts", 0, "handle"]
        for given in ({"worker_id": "100", "layout_id": 1}, {"worker_id": 100, "layout_id": "1"},
                      {"raw": "00000000000000010000000000000064"},
                      {"raw": "00000000000000010000000000000064", "worker_id": "9",
                       "layout_id": 9, "display": "other"}):
            result = self.encode(self.changed(handle, given))
            self.assertEqual(result.stdout, self.message, result.stderr)

    def test_reads_a_file_and_writes_the_format_asked_for(self):
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump({"format": "B", "value": self.value}, file)
            file.flush()
            self.assertEqual(run("encode", "--format", "a", file.name).stdout, self.message)
            # Nothing is said of the inside of a block in either format, so nothing is lost.
            b = run("encode", file.name).stdout
        self.assertEqual(json.loads(run("inspect", "--json", "-", stdin=b).stdout)["format"], "B")
        self.refused({"format": "Z", "value": self.value}, 'format: "Z"')

    def test_refuses_what_the_other_format_cannot_carry(self):
        config = ["layouts", 0, "layout", "layout_config"]
        details = ["layouts", 0, "layout", "layout_type_details", "FullyContiguous"]
        path = "layouts[0].layout"
        for steps, value, word, message in (
                (config + ["inner_shape"], "NHD", "b", f'{path}.layout_config.inner_shape: "NHD"'),
                (config + ["num_heads"], 8, "a", f"{path}.layout_config.num_heads: 8"),
                (["layouts", 0, "logical_type"], "G2", "a", 'layouts[0].logical_type: "G2"'),
                (["layouts", 0, "logical_type"], "G5", "b", 'layouts[0].logical_type: "G5"'),
                (details + ["kv_block_layout"], "OperationalNHD", "a",
                 f"{path}.layout_type_details.FullyContiguous.kv_block_layout: "),
                (details + ["kv_block_layout"], {"Custom": ["Head"]}, "b",
                 f"{path}.layout_type_details.FullyContiguous.kv_block_layout: Custom without")):
            with self.subTest(steps, format=word):
                self.refused(self.changed(steps, value), message, "--format", word)

    def test_names_the_field_that_is_wrong(self):
        config = ["layouts", 0, "layout", "layout_config"]
        path = "layouts[0].layout.layout_config"
        for key, value, message in (
                ("num_blocks", None, f"{path}.num_blocks: missing"),
                ("num_blocks", -1, f"{path}.num_blocks: -1 is not a plain integer"),
                ("num_blocks", 1.5, f"{path}.num_blocks: 1.5 is not a plain integer"),
                ("num_blocks", 2**64, f"{path}.num_blocks: "),
                ("num_blocks", str(2**64), f"{path}.num_blocks: "),
                ("num_blocks", " 2", f"{path}.num_blocks: text is not a plain integer"),
                ("inner_shape", "nhd", f"{path}.inner_shape: "),
                ("num_heads", 8, f"{path}.num_heads: 8, for which the format has no place"),
                ("frob", 8, f"{path}.frob: unknown")):
            with self.subTest(key=key, value=value):
                self.refused(self.changed(config + [key], value), message)
        for steps, value, message in (
                (["worker_address"], None, "value.worker_address: missing"),
                (["worker_address", "worker_id"], "x", "worker_address.worker_id: not an integer"),
                (["worker_address", "worker_id"], 2**64, "worker_address.worker_id: not an int"),
                (["worker_address", "nixl_agent_name"], 7, "worker_address.nixl_agent_name: not"),
                (["nixl_metadata"], "0x", "nixl_metadata: no hex digits at character 0"),
                (["nixl_metadata"], "001", "nixl_metadata: 3 hex digits"),
                (["nixl_metadata"], {"length": 5, "sha256": "00"}, "nixl_metadata: not text"),
                (["layouts"], 7, "layouts: not an array"),
                (["layouts", 0], 7, "layouts[0]: not an object"),
                (["layouts", 0, "frob"], "G2", "layouts[0].frob: unknown"),
                (["layouts", 0, "layout"], [], "layouts[0].layout: not an object"),
                (["layouts", 0, "handle", "raw"], "00", "layouts[0].handle.raw: 2 hex digits of"),
                (["layouts", 0, "handle"], {"worker_id": 1, "layout_id": 65536},
                 "layouts[0].handle.layout_id: 65536 of at most 65535"),
                (["layouts", 0, "layout", "version"], 2**32, "layouts[0].layout.version: "),
                (["layouts", 0, "layout", "location"], {"Device": 2**32},
                 "layouts[0].layout.location.Device: 4294967296 of at most"),
                (["layouts", 0, "layout", "memory_descriptors", 0, "addr"], None,
                 "layouts[0].layout.memory_descriptors[0].addr: missing")):
            with self.subTest(steps):
                self.refused(self.changed(steps, value), message)

    def test_refuses_what_is_not_one_document(self):
        self.refused(b"", "document: not JSON")
        self.refused(b"[1]", "document: not an object")
        self.refused(b"{}", "document.value: missing")
        self.refused(b'{"value":{},"value":{}}', 'document: key "value" is there twice')
        self.refused(b'{"value":' + b"[" * 200000 + b"]" * 200000 + b"}", "document: nested deeper")
        self.refused(b"[" * 200000, "document: ")
        self.refused(json.dumps({"value": self.value}).encode() + b"}", "document: not JSON")

    def test_keeps_numbers_above_2_to_the_53(self):
        steps = ["layouts", 0, "layout", "memory_descriptors", 0, "size"]
        for number in (2**53 + 1, str(2**53 + 1)):
            message = self.encode(self.changed(steps, number)).stdout
            value = json.loads(run("inspect", "--json", "-", stdin=message).stdout)["value"]
            region = value["layouts"][0]["layout"]["memory_descriptors"][0]
            self.assertEqual(region["size"], str(2**53 + 1))


if __name__ == "__main__":
    unittest.main()
