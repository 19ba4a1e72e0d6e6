#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Envelopes as a user meets them, checked from outside.

Goal: inspect, encode and validate know envelopes; sign and verify tell the truth about who wrote
one, and a file is never half replaced; a build without signatures says so.
Method: the golden files, whose makers shared nothing with the tool; every single bit of a signed
one; messages in the place of envelopes and the other way round.

    envelope_test.py PATH_OF_THE_TOOL
"""

import json
import os
import pathlib
import shutil
import stat
import subprocess
import sys
import tempfile
import unittest

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden" / "envelope"
VECTORS = pathlib.Path(__file__).resolve().parent.parent.parent / "vectors"
DEADLINE_S = 60
BINARY = ""


def run(*words, stdin=None):
    return subprocess.run([BINARY, *map(str, words)], input=stdin, capture_output=True,
                          timeout=DEADLINE_S, check=False)


def is_in_the_build():
    return json.loads(run("version", "--json").stdout)["components"]["signatures"]


def documents():
    for file in sorted(GOLDEN.glob("*.json")):
        yield file.with_suffix(".kvfy"), json.loads(file.read_text(encoding="utf-8"))


class Messages(unittest.TestCase):
    def test_inspect_says_what_the_golden_documents_say(self):
        for file, expected in documents():
            with self.subTest(file.name):
                done = run("inspect", "--json", file)
                if "error" in expected:
                    self.assertEqual(done.returncode, 3)
                    self.assertEqual(json.loads(done.stdout)["error"], expected["error"])
                    self.assertEqual(done.stderr.decode(),
                                     f"kvferry: {expected['error']['message']}\n")
                    continue
                self.assertEqual(done.returncode, 0, done.stderr)
                found = json.loads(done.stdout)
                lint = found.pop("lint")
                expected.pop("lint")
                self.assertEqual(found, expected)
                self.assertEqual(list(found["value"]), [
                    key for key in ("worker_id", "name", "epoch", "generation", "issued_unix_ms",
                                    "lease_ms", "audience", "agents", "layouts", "signature",
                                    "unknown_fields") if key in found["value"]])
                self.assertEqual(bool(lint), file.name == "several.kvfy", lint)

    def test_encode_is_the_inverse(self):
        for file, expected in documents():
            if "error" in expected:
                continue
            with self.subTest(file.name):
                text = run("inspect", "--json", file).stdout
                for words in ([], ["--format", "envelope"]):
                    done = run("encode", *words, stdin=text)
                    self.assertEqual(done.returncode, 0, done.stderr)
                    self.assertEqual(done.stdout == file.read_bytes(), expected["canonical"])

    def test_inspect_is_for_people_too(self):
        text = run("inspect", GOLDEN / "several.kvfy").stdout.decode()
        for part in ("envelope, canonical, 407 B", "agent ", f"epoch {'f' * 32}, generation "
                     "18446744073709551615", "issued   2262-04-11 23:47:16 UTC, for 1 ms",
                     'for      "decode-1"', "signed   no", 'blob     "shm", 2 B', "Device(3)"):
            self.assertIn(part, text)
        text = run("inspect", GOLDEN / "signed.kvfy").stdout.decode()
        self.assertRegex(text, r"signed   by d75a9801[0-9a-f]{56}, not checked")
        self.assertIn("until another one comes", text)

    def test_the_format_that_is_given_counts(self):
        for word in ("a", "b"):
            done = run("inspect", "--format", word, GOLDEN / "seed_like.kvfy")
            self.assertEqual(done.returncode, 3)
        done = run("inspect", "--format", "envelope", next(VECTORS.glob("a_seed*.bin")))
        self.assertEqual(done.returncode, 3)
        self.assertIn(b"magic at 0: ", done.stderr)

    def test_validate_takes_every_kind_in_one_go(self):
        good, bad = GOLDEN / "seed_like.kvfy", GOLDEN / "required_features.kvfy"
        message = next(VECTORS.glob("a_seed*.bin"))
        done = run("validate", "--json", good, bad, message)
        self.assertEqual(done.returncode, 3)
        rows = json.loads(done.stdout)
        self.assertEqual([row["ok"] for row in rows], [True, False, True])
        self.assertEqual([row["format"] for row in rows][:2], ["envelope", None])
        self.assertIn("groups", rows[1]["error"])
        self.assertEqual(run("validate", "--strict", good).returncode, 0)
        done = run("validate", "--strict", GOLDEN / "several.kvfy")
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"address_overflow: layouts[2].", done.stdout)

    def test_encode_names_what_is_wrong_with_a_document(self):
        document = json.loads((GOLDEN / "seed_like.json").read_text(encoding="utf-8"))

        def refused(change, message):
            wrong = json.loads(json.dumps(document))
            change(wrong["value"])
            done = run("encode", stdin=json.dumps(wrong).encode())
            self.assertEqual(done.returncode, 3)
            self.assertEqual(done.stdout, b"")
            self.assertEqual(done.stderr.decode(), f"kvferry: {message}\n")

        largest = 2**64 - 1
        refused(lambda v: v.pop("epoch"), "value.epoch: missing")
        refused(lambda v: v.update(epoch="00"), "value.epoch: 2 hex digits of 32")
        refused(lambda v: v.update(epoch="0" * 32), "epoch: is zero")
        refused(lambda v: v.update(more=1), "value.more: unknown, and would be lost")
        refused(lambda v: v.update(name=1), "value.name: not text")
        refused(lambda v: v.update(agents={}), "agents: not an array")
        refused(lambda v: v.update(lease_ms=-1),
                "value.lease_ms: not an integer from 0 to 9223372036854")
        refused(lambda v: v.update(issued_unix_ms=largest),
                f"value.issued_unix_ms: {largest} of at most 9223372036854")
        refused(lambda v: v.update(issued_unix_ms=9223372036854, lease_ms=1),
                "lease_ms: 1 ms, at most 0 after this issue")
        refused(lambda v: v.update(signature={"public_key": "00", "signature": ""}),
                "signature.public_key: 2 hex digits of 64")
        layout = lambda v: v["layouts"][0]  # noqa: E731
        refused(lambda v: layout(v).update(id=65536), "layouts[0].id: 65536 of at most 65535")
        refused(lambda v: layout(v).update(access="none"),
                'layouts[0].access: "none" is not known here')
        refused(lambda v: layout(v).update(storage={"Tape": 1}),
                'layouts[0].storage: {"Tape":1} is not known here')
        refused(lambda v: layout(v).update(tier="G5"), 'layouts[0].tier: "G5" is not known here')
        refused(lambda v: layout(v).update(regions=1), "layouts[0].regions: not an array")
        refused(lambda v: layout(v)["regions"][0].pop("size"),
                "layouts[0].regions[0].size: missing")
        refused(lambda v: layout(v)["config"].update(page_size="x"),
                f"layouts[0].config.page_size: not an integer from 0 to {largest}")
        refused(lambda v: layout(v).update(unknown_fields="0801"),
                "unknown_fields at 0: field 1 is known, as id")


class Signatures(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.trusted = self.folder / "trusted"
        self.trusted.mkdir(mode=0o700)
        self.message = self.folder / "prefill.kvfy"
        shutil.copy(GOLDEN / "seed_like.kvfy", self.message)
        self.key = self.make_key("prefill")

    def make_key(self, name):
        self.assertEqual(run("keygen", self.folder / f"{name}.key").returncode, 0)
        return self.folder / f"{name}.key"

    def trust(self, key, name):
        shutil.copy(f"{key}.pub", self.trusted / f"{name}.pub")

    def verify(self, *files):
        return run("verify", "--trusted", self.trusted, *files)

    def expect_refused(self, file, text):
        done = self.verify(file)
        self.assertEqual(done.returncode, 3, done)
        self.assertIn(f"{file}: ", done.stdout.decode())
        self.assertIn(text, done.stdout.decode())
        self.assertEqual(len(done.stdout.splitlines()), 1)

    def test_a_signed_message_says_who_signed_it(self):
        self.trust(self.key, "prefill")
        done = run("sign", "--key", self.key, self.message)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout.decode(), r"prefill\.kvfy: signed by [0-9a-f]{64}\n")
        done = self.verify(self.message)
        self.assertEqual(done.returncode, 0, done)
        self.assertEqual(done.stdout.decode(), f"{self.message}: signed by prefill\n")
        self.assertEqual(run("inspect", self.message).returncode, 0)
        self.assertEqual(sorted(os.listdir(self.folder)),
                         ["prefill.key", "prefill.key.pub", "prefill.kvfy", "trusted"])

    def test_the_key_of_the_specification_makes_the_golden_signature(self):
        seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
        public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
        key = self.folder / "rfc.key"
        key.write_text(f"kvferry-secret-key ed25519 1\n{seed}\n{public}\n", encoding="ascii")
        key.chmod(0o600)
        done = run("sign", "--key", key, "-o", "-", GOLDEN / "seed_like.kvfy")
        self.assertEqual(done.stdout, (GOLDEN / "signed.kvfy").read_bytes())
        (self.trusted / "rfc.pub").write_text(f"kvferry-public-key ed25519 1\n{public}\n")
        done = self.verify(GOLDEN / "signed.kvfy", GOLDEN / "newer_fields_signed.kvfy")
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_who_did_not_sign_is_not_believed(self):
        self.expect_refused(self.message, "the message is not signed")
        run("sign", "--key", self.key, self.message)
        self.expect_refused(self.message, "is not trusted: it is none of 0")
        self.trust(self.make_key("other"), "prefill")
        self.expect_refused(self.message, "is not trusted: it is none of 1")

    def test_every_bit_of_a_signed_message_counts(self):
        self.trust(self.key, "prefill")
        run("sign", "--key", self.key, self.message)
        good = self.message.read_bytes()
        files = []
        for bit in range(8 * len(good)):
            turned = bytearray(good)
            turned[bit // 8] ^= 1 << bit % 8
            files.append(self.folder / f"bit{bit}")
            files[-1].write_bytes(turned)
        done = run("verify", "--json", "--trusted", self.trusted, *files)
        self.assertEqual(done.returncode, 3)
        rows = json.loads(done.stdout)
        self.assertEqual(len(rows), len(files))
        self.assertEqual([row for row in rows if row["ok"] or not row["error"]], [])
        of_signature = rows[-8 * 64:]
        self.assertEqual({row["error"].split(": ")[0] for row in of_signature}, {"prefill"})

    # A body with another's signature around it: header and checksum are right.
    def test_a_signature_is_of_one_body_only(self):
        self.trust(self.key, "prefill")
        run("sign", "--key", self.key, self.message)
        signature = json.loads(run("inspect", "--json", self.message).stdout)["value"]["signature"]
        other = json.loads((GOLDEN / "minimal.json").read_text(encoding="utf-8"))
        other["value"]["signature"] = signature
        forged = self.folder / "forged.kvfy"
        forged.write_bytes(run("encode", stdin=json.dumps(other).encode()).stdout)
        self.assertEqual(run("inspect", forged).returncode, 0)
        self.expect_refused(forged, "prefill: ")

    def test_a_new_signature_replaces_the_old(self):
        run("sign", "--key", self.key, self.message)
        size = self.message.stat().st_size
        other = self.make_key("other")
        self.trust(other, "other")
        run("sign", "--key", other, self.message)
        self.assertEqual(self.message.stat().st_size, size)
        self.assertEqual(self.verify(self.message).stdout.decode(),
                         f"{self.message}: signed by other\n")

    def test_the_result_goes_where_it_is_asked_to(self):
        before = self.message.read_bytes()
        output = self.folder / "signed.kvfy"
        done = run("sign", "--key", self.key, self.message, "-o", output)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.message.read_bytes(), before)
        done = run("sign", "--key", self.key, "-", stdin=before)
        self.assertEqual(done.stdout, output.read_bytes())

    def test_a_file_keeps_its_mode_and_a_link_stays_one(self):
        self.message.chmod(0o640)
        link = self.folder / "link"
        link.symlink_to(self.message.name)
        self.assertEqual(run("sign", "--key", self.key, link).returncode, 0)
        self.assertTrue(link.is_symlink())
        self.assertEqual(stat.S_IMODE(self.message.stat().st_mode), 0o640)
        self.assertEqual(self.message.stat().st_size, 157 + 96)

    def test_what_cannot_be_signed_stays_as_it_is(self):
        message = next(VECTORS.glob("a_seed*.bin"))
        done = run("sign", "--key", self.key, message)
        self.assertEqual(done.returncode, 3)
        self.assertIn(b"magic at 0: ", done.stderr)
        shutil.copy(GOLDEN / "required_features.kvfy", self.message)
        done = run("sign", "--key", self.key, self.message)
        self.assertEqual(done.returncode, 3)
        self.assertIn(b"groups", done.stderr)
        self.assertEqual(self.message.read_bytes(),
                         (GOLDEN / "required_features.kvfy").read_bytes())
        self.assertEqual(run("sign", "--key", self.key, self.folder / "missing").returncode, 4)
        self.assertEqual(run("sign", "--key", self.folder / "no.key", self.message).returncode, 4)
        done = run("sign", "--key", self.key, GOLDEN / "seed_like.kvfy", "-o",
                   self.folder / "no" / "folder")
        self.assertEqual(done.returncode, 4)

    def test_verify_goes_through_all_files(self):
        self.trust(self.key, "prefill")
        run("sign", "--key", self.key, self.message)
        missing = self.folder / "missing"
        done = run("verify", "--json", "--trusted", self.trusted, self.message,
                   GOLDEN / "seed_like.kvfy", missing)
        self.assertEqual(done.returncode, 4)
        rows = json.loads(done.stdout)
        self.assertEqual([row["signed_by"] for row in rows], ["prefill", None, None])
        self.assertEqual([row["ok"] for row in rows], [True, False, False])
        self.assertIn("No such file", rows[2]["error"])

    def test_a_bad_directory_of_keys_is_said(self):
        done = run("verify", "--trusted", self.folder / "missing", self.message)
        self.assertEqual(done.returncode, 4)
        self.assertIn(b"missing", done.stderr)


class LeftOut(unittest.TestCase):
    def test_a_build_without_signatures_says_so(self):
        for words in (["sign", "--key", "k", "m"], ["verify", "--trusted", "t", "m"]):
            done = run(*words)
            self.assertEqual(done.returncode, 4)
            self.assertIn(b"this build leaves them out", done.stderr)


if __name__ == "__main__":
    BINARY = sys.argv.pop(1)
    unittest.main(defaultTest=["Messages", "Signatures" if is_in_the_build() else "LeftOut"])
