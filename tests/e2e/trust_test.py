#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Keys as a user makes them, checked from outside.

Goal: keygen writes a pair of files that belong together, keeps the secret one to its owner and
never loses a key that is there; a build without signatures says so.
Method: the public key is derived from the secret file by the arithmetic of RFC 8032, section 5.1.5,
written out here; every file that can be in the way; many processes that want one path.

    trust_test.py PATH_OF_THE_TOOL
"""

import hashlib
import json
import os
import pathlib
import re
import stat
import subprocess
import sys
import tempfile
import unittest

DEADLINE_S = 60
BINARY = ""

P = 2**255 - 19
D = -121665 * pow(121666, P - 2, P) % P
BASE = (15112221349535400772501151409588531511454012693041857206046113283949847762202,
        46316835694926478169428394003475163141307993866256225615783033603165251855960)


def add(left, right):
    (x1, y1), (x2, y2) = left, right
    product = D * x1 * x2 * y1 * y2
    return ((x1 * y2 + x2 * y1) * pow(1 + product, P - 2, P) % P,
            (y1 * y2 + x1 * x2) * pow(1 - product, P - 2, P) % P)


def public_key(seed):
    scalar = int.from_bytes(hashlib.sha512(seed).digest()[:32], "little")
    scalar = scalar & ((1 << 254) - 8) | (1 << 254)
    point, power = (0, 1), BASE
    while scalar:
        if scalar & 1:
            point = add(point, power)
        power = add(power, power)
        scalar >>= 1
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def run(*words, **how):
    return subprocess.run([BINARY, *map(str, words)], capture_output=True, text=True,
                          timeout=DEADLINE_S, check=False, **how)


def is_in_the_build():
    return json.loads(run("version", "--json").stdout)["components"]["signatures"]


class Keygen(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.file = self.folder / "own.key"
        self.public_file = self.folder / "own.key.pub"

    def names(self):
        return sorted(path.name for path in self.folder.iterdir())

    def refused(self, done, message):
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertEqual(done.stdout, "")
        self.assertTrue(done.stderr.startswith(f"kvferry: {message}"), done.stderr)

    def test_oracle_knows_the_rfc(self):
        seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
        self.assertEqual(public_key(bytes.fromhex(seed)).hex(),
                         "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")

    def test_help_shows_an_example(self):
        done = run("keygen", "--help")
        self.assertEqual(done.returncode, 0)
        self.assertIn("Example: kvferry keygen ", done.stdout)

    def test_wrong_command_lines(self):
        for words in ((), (self.file, "more"), ("--frob", self.file)):
            self.assertEqual(run("keygen", *words).returncode, 2)
        self.assertEqual(self.names(), [])

    def test_prints_the_public_key(self):
        done = run("keygen", self.file)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        printed = re.search(r"^ +([0-9a-f]{64})$", done.stdout, re.MULTILINE).group(1)
        self.assertIn(printed, self.public_file.read_text())
        self.assertIn(str(self.public_file), done.stdout)

    def test_files_belong_together_and_to_their_owner(self):
        done = run("keygen", "--json", self.file, umask=0)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(self.names(), ["own.key", "own.key.pub"])
        header, seed, public, end = self.file.read_text().split("\n")
        self.assertEqual((header, end), ("kvferry-secret-key ed25519 1", ""))
        self.assertEqual(public_key(bytes.fromhex(seed)).hex(), public)
        self.assertEqual(self.public_file.read_text(), f"kvferry-public-key ed25519 1\n{public}\n")
        self.assertEqual(stat.S_IMODE(self.file.stat().st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(self.public_file.stat().st_mode), 0o644)
        self.assertEqual(json.loads(done.stdout), {
            "ok": True, "secret_file": str(self.file), "public_file": str(self.public_file),
            "public_key": public})
        self.assertNotIn(seed, done.stdout)

    def test_overwrites_neither_file(self):
        self.file.write_text("mine")
        self.refused(run("keygen", self.file), f"{self.file}: is there already")
        self.assertEqual(self.names(), ["own.key"])
        self.assertEqual(self.file.read_text(), "mine")
        self.file.rename(self.public_file)
        self.refused(run("keygen", self.file), f"{self.public_file}: is there already")
        self.assertEqual(self.names(), ["own.key.pub"])
        self.assertEqual(self.public_file.read_text(), "mine")
        os.symlink("elsewhere", self.file)
        self.public_file.unlink()
        self.refused(run("keygen", self.file), f"{self.file}: is there already")
        self.assertEqual(self.names(), ["own.key"])

    def test_json_says_why_not(self):
        self.file.write_text("mine")
        done = run("keygen", "--json", self.file)
        self.assertEqual(done.returncode, 4)
        document = json.loads(done.stdout)
        self.assertFalse(document["ok"])
        self.assertEqual(document["error"]["code"], "Refused")

    def test_takes_any_file_name(self):
        done = run("keygen", "--json", os.fsdecode(bytes(self.folder) + b"/\xff"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(json.loads(done.stdout)["secret_file"].endswith("/\ufffd"))

    def test_needs_a_directory(self):
        self.refused(run("keygen", self.folder / "none" / "own.key"), f"{self.folder}/none/own.key")

    def test_one_of_many_wins(self):
        processes = [subprocess.Popen([BINARY, "keygen", "--json", self.file],
                                      stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
                     for _ in range(8)]
        done = [(process.communicate(timeout=DEADLINE_S)[0], process.returncode)
                for process in processes]
        won = [json.loads(out) for out, code in done if code == 0]
        self.assertEqual(sorted(code for _, code in done), [0] + [4] * 7)
        self.assertEqual(self.names(), ["own.key", "own.key.pub"])
        for file in (self.file, self.public_file):
            self.assertTrue(file.read_text().endswith(won[0]["public_key"] + "\n"))


class LeftOut(unittest.TestCase):
    def test_says_that_it_is(self):
        with tempfile.TemporaryDirectory() as folder:
            file = os.path.join(folder, "own.key")
            done = run("keygen", file)
            self.assertEqual((done.returncode, done.stdout), (4, ""))
            self.assertIn("this build leaves them out", done.stderr)
            document = json.loads(run("keygen", "--json", file).stdout)
            self.assertEqual(document["error"]["code"], "Unavailable")
            self.assertEqual(os.listdir(folder), [])
        self.assertEqual(run("keygen", "--help").returncode, 0)
        self.assertEqual(run("keygen").returncode, 2)


if __name__ == "__main__":
    BINARY = sys.argv.pop(1)
    unittest.main(defaultTest="Keygen" if is_in_the_build() else "LeftOut")
