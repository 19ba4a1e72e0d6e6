#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Workers that tell of themselves by envelopes, signed or not.

Goal: peers take the envelope before formats B and A; who trusts only some keys gets blocks from
those who hold them and from nobody else, whatever lies in the exchange.
Method: workers and pulls as processes; the exchange's files changed in between as an intruder who
may write there, but holds no key, would.

    signed_workers_test.py PATH_OF_THE_TOOL
"""

import ctypes
import json
import os
import shutil
import subprocess
import sys
import unittest

import oracle
from workers import Tool

BINARY = ""


def xxh3_128(data):
    """As records of the exchange have it."""
    class Sum(ctypes.Structure):
        _fields_ = [("low", ctypes.c_uint64), ("high", ctypes.c_uint64)]
    function = ctypes.CDLL("libxxhash.so.0").XXH3_128bits
    function.argtypes, function.restype = [ctypes.c_char_p, ctypes.c_size_t], Sum
    found = function(data, len(data))
    return f"{found.high:016x}{found.low:016x}"


class Envelopes(unittest.TestCase):
    def setUp(self):
        self.tool = Tool(BINARY)
        self.addCleanup(self.tool.__exit__, None, None, None)

    def file(self, name):
        return os.path.join(self.tool.exchange.removeprefix("dir:"), name)

    def start(self, name, *options):
        self.tool.start(name, "--num-blocks", "4", *options)

    def pull(self, name, *options):
        return self.tool.pull("--peer", name, "--blocks", "3,1:0-1", *options)

    def replace(self, name, suffix, data):
        """Puts other bytes in the place of a published message, with a right record."""
        with open(self.file(f"{name}.{suffix}"), "wb") as file:
            file.write(data)
        with open(self.file(f"{name}.json"), encoding="utf-8") as file:
            record = json.load(file)
        record["formats"][suffix] = {"bytes": len(data), "xxh3_128": xxh3_128(data)}
        with open(self.file(f"{name}.json"), "w", encoding="utf-8") as file:
            json.dump(record, file)

    def read(self, name):
        with open(self.file(name), "rb") as file:
            return file.read()

    def peers(self, *options):
        code, out, _ = self.tool.run("peers", "--json", "--exchange", self.tool.exchange, *options)
        self.assertEqual(code, 0)
        return {row["name"]: row for row in json.loads(out)}

    def test_peers_say_when_a_lease_has_ended(self):
        self.start("prefill")
        code, out, err = self.tool.run("inspect", "--json", self.file("prefill.kvfy"))
        self.assertEqual(code, 0, err)
        document = json.loads(out)
        issued = int(document["value"]["issued_unix_ms"])
        for lease_ms, ended in ((3_600_000, False), (1, True)):
            document["value"].update(
                lease_ms=lease_ms, audience="decode", issued_unix_ms=issued - 1000 * ended)
            with open(self.tool.path("said.json"), "w", encoding="utf-8") as file:
                json.dump(document, file)
            encoded = subprocess.run(
                [BINARY, "encode", self.tool.path("said.json")], capture_output=True, check=True)
            self.replace("prefill", "kvfy", encoded.stdout)
            row = self.peers()["prefill"]
            self.assertEqual((row["lease_ms"], row["audience"]), (lease_ms, "decode"))
            self.assertEqual("lease: it ended" in row.get("error", ""), ended)

    def test_all_formats_are_published_and_withdrawn(self):
        self.start("prefill")
        self.assertEqual(self.peers()["prefill"]["formats"], ["a", "b", "envelope"])
        for suffix, format_name in (("a", "A"), ("b", "B"), ("kvfy", "envelope")):
            code, out, err = self.tool.run("inspect", "--json", self.file(f"prefill.{suffix}"))
            self.assertEqual(code, 0, err)
            self.assertEqual(json.loads(out)["format"], format_name)
        value = json.loads(out)["value"]
        row = self.peers()["prefill"]
        self.assertEqual((value["epoch"], value["generation"]), (row["epoch"], row["generation"]))
        self.assertEqual(self.tool.run("validate", "--strict", self.file("prefill.kvfy"))[0], 0)
        self.assertEqual(self.tool.end("prefill"), 0)
        self.assertEqual(os.listdir(self.file("")), [])

    def test_the_envelope_is_taken_first(self):
        self.start("prefill", "--order", "hnd")
        self.replace("prefill", "a", b"\0")
        self.replace("prefill", "b", b"\0")
        path = self.tool.path("dump")
        code, report, err = self.pull("prefill", "--order", "nhd", "--dump", path)
        self.assertEqual(code, 0, err)
        self.assertTrue(report["ok"])
        right = oracle.Dump(oracle.GEOMETRIES["llama-3.1-8b"], (3, 1), page=16, source_page=16)
        with open(path, "rb") as file:
            self.assertTrue(file.read() == right.expected())

    def test_an_envelope_alone_is_enough(self):
        self.start("prefill", "--publish", "envelope")
        self.assertEqual(self.pull("prefill")[0], 0)
        self.assertEqual(self.peers()["prefill"]["formats"], ["envelope"])

    def test_what_a_newer_writer_requires_is_left_to_the_simpler_formats(self):
        self.start("prefill")
        golden = os.path.join(os.path.dirname(__file__), "..", "golden", "envelope")
        with open(os.path.join(golden, "required_features.kvfy"), "rb") as file:
            newer = file.read()
        self.replace("prefill", "kvfy", newer)
        self.assertEqual(self.pull("prefill")[0], 0)

    def test_a_damaged_envelope_is_not_passed_over(self):
        self.start("prefill")
        self.replace("prefill", "kvfy", self.read("prefill.kvfy")[:-1] + b"?")
        code, report, _ = self.pull("prefill")
        self.assertEqual(code, 3)
        self.assertIn("checksum at 24", report["error"]["message"])

    def test_only_known_formats_can_be_published(self):
        code, _, err = self.tool.run("worker", "--name", "w", "--exchange", self.tool.exchange,
                                     "--publish", "a,kvfy")
        self.assertEqual(code, 2)
        self.assertIn('"kvfy" is none of a, b and envelope', err)


class Signed(Envelopes):
    def setUp(self):
        super().setUp()
        self.trusted = self.tool.path("trusted")
        os.mkdir(self.trusted, 0o700)
        self.key = self.make_key("prefill")

    def make_key(self, name):
        key = self.tool.path(f"{name}.key")
        self.assertEqual(self.tool.run("keygen", key)[0], 0)
        return key

    def trust(self, key, name):
        shutil.copy(f"{key}.pub", os.path.join(self.trusted, f"{name}.pub"))

    def expect_refused(self, name, text):
        code, report, err = self.pull(name, "--trusted", self.trusted)
        self.assertEqual(code, 4, err)
        self.assertIn(text, report["error"]["message"])
        self.assertEqual(report["error"]["code"], "Refused")
        row = self.peers("--trusted", self.trusted)[name]
        self.assertIn(text, row["error"])
        self.assertNotIn("signed_by", row)

    def test_blocks_come_from_who_signed(self):
        self.trust(self.key, "site-1")
        self.start("prefill", "--sign", self.key)
        code, _, err = self.pull("prefill", "--trusted", self.trusted)
        self.assertEqual(code, 0, err)
        row = self.peers("--trusted", self.trusted)["prefill"]
        self.assertEqual((row["signed_by"], row["formats"]), ("site-1", ["envelope"]))
        self.assertNotIn("signed_by", self.peers()["prefill"])
        code, out, _ = self.tool.run("peers", "--exchange", self.tool.exchange,
                                     "--trusted", self.trusted)
        self.assertIn("site-1", out)

    def test_a_signed_worker_serves_those_who_do_not_ask(self):
        self.start("prefill", "--sign", self.key)
        self.assertEqual(self.pull("prefill")[0], 0)

    def test_who_did_not_sign_is_refused(self):
        self.trust(self.key, "site-1")
        self.start("prefill")
        self.expect_refused("prefill", "worker prefill: signature: the message is not signed")

    def test_who_is_not_trusted_is_refused(self):
        self.trust(self.make_key("other"), "site-2")
        self.start("prefill", "--sign", self.key)
        self.expect_refused("prefill", "is not trusted: it is none of 1")

    def test_formats_without_a_signature_do_not_come_through(self):
        self.trust(self.key, "site-1")
        self.start("prefill", "--publish", "a,b")
        self.expect_refused("prefill", "publishes nothing that can be checked")

    def test_another_body_under_the_signature_is_refused(self):
        self.trust(self.key, "site-1")
        self.start("prefill", "--sign", self.key)
        document = json.loads(self.tool.run("inspect", "--json", self.file("prefill.kvfy"))[1])
        document["value"]["layouts"][0]["regions"][0]["address"] += 4096
        path = self.tool.path("forged.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(document, file)
        forged = self.tool.path("forged.kvfy")
        with open(forged, "wb") as file:
            subprocess.run([BINARY, "encode", path], stdout=file, check=True)
        with open(forged, "rb") as file:
            self.replace("prefill", "kvfy", file.read())
        self.expect_refused("prefill", "site-1: ")

    def test_the_signed_message_of_another_worker_is_refused(self):
        self.trust(self.key, "site-1")
        self.start("prefill", "--sign", self.key)
        self.start("second", "--sign", self.key)
        self.replace("prefill", "kvfy", self.read("second.kvfy"))
        self.expect_refused("prefill", "name: the exchange says prefill, the signed message second")

    def test_the_signed_message_of_an_earlier_life_is_refused(self):
        self.trust(self.key, "site-1")
        self.start("prefill", "--sign", self.key)
        earlier = self.read("prefill.kvfy")
        self.assertEqual(self.tool.end("prefill"), 0)
        self.start("prefill", "--sign", self.key)
        self.replace("prefill", "kvfy", earlier)
        self.expect_refused("prefill", "epoch: the exchange says ")

    def test_keys_that_cannot_be_are_said_before_anything_happens(self):
        code, _, err = self.tool.run("worker", "--name", "w", "--exchange", self.tool.exchange,
                                     "--sign", self.tool.path("missing"))
        self.assertEqual((code, "missing" in err), (4, True))
        code, _, err = self.tool.run("worker", "--name", "w", "--exchange", self.tool.exchange,
                                     "--publish", "a,b", "--sign", self.key)
        self.assertEqual(code, 2)
        self.assertIn("--sign: only an envelope can be signed", err)
        code, _, err = self.tool.run("worker", "--name", "w", "--exchange", self.tool.exchange,
                                     "--publish", "a,b", "--model", "base@1")
        self.assertEqual(code, 2)
        self.assertIn("--model: only an envelope tells it", err)
        for command in (["pull", "--peer", "w", "--blocks", "0:0"], ["peers"]):
            code, _, err = self.tool.run(*command, "--exchange", self.tool.exchange,
                                         "--trusted", self.tool.path("missing"))
            self.assertEqual((code, "missing" in err), (4, True), err)


class LeftOut(Envelopes):
    def test_a_build_without_signatures_says_so(self):
        for words in (["worker", "--name", "w", "--sign", "k"], ["peers", "--trusted", "t"],
                      ["pull", "--peer", "w", "--blocks", "0:0", "--trusted", "t"]):
            code, _, err = self.tool.run(*words, "--exchange", self.tool.exchange)
            self.assertEqual(code, 4)
            self.assertIn("this build leaves them out", err)


if __name__ == "__main__":
    BINARY = sys.argv.pop(1)
    with Tool(BINARY) as asked:
        known = json.loads(asked.run("version", "--json")[1])["components"]["signatures"]
    unittest.main(defaultTest="Signed" if known else "LeftOut")
