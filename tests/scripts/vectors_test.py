# SPDX-License-Identifier: Apache-2.0
"""Goal: the vectors are the bytes that were recorded, all of them and nothing else.
Method: vectors/SHA256SUMS against the files, with nothing missing on either side."""

import hashlib
import unittest
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "vectors"


class Vectors(unittest.TestCase):
    def test_files_are_those_of_the_list(self):
        wanted = {}
        for line in (FOLDER / "SHA256SUMS").read_text().splitlines():
            digest, name = line.split("  ")
            wanted[name] = digest
        found = {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in FOLDER.iterdir()
            if path.name != "SHA256SUMS"
        }
        self.assertEqual(found, wanted)
        self.assertEqual(len(wanted), 304)


if __name__ == "__main__":
    unittest.main()
