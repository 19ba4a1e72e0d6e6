#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The README's program is the one that the tests compile and run.

Goal: no reader copies code that does not work. Method: compares the README's C++ block with the
marked part of the example that is a test of its own.
"""

import re
import sys
import textwrap
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "01_pull_blocks.cpp"
README = ROOT / "README.md"


def marked_part(source):
    """What stands between the two marks, without the indentation that all of it has."""
    before, part, after = re.split(r"^ *// \[readme\]\n", source, flags=re.MULTILINE)
    del before, after
    return textwrap.dedent(part)


def first_block(markdown):
    return re.search(r"```cpp\n(.*?)```", markdown, flags=re.DOTALL).group(1)


class ReadmeTest(unittest.TestCase):
    def test_shows_the_example_as_it_is(self):
        self.assertEqual(first_block(README.read_text()), marked_part(EXAMPLE.read_text()))

    def test_is_about_twenty_lines(self):
        lines = [line for line in first_block(README.read_text()).splitlines() if line.strip()]
        self.assertLessEqual(len(lines), 24)


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        text = README.read_text()
        README.write_text(text.replace(first_block(text), marked_part(EXAMPLE.read_text())))
    else:
        unittest.main()
