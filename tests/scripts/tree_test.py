# SPDX-License-Identifier: Apache-2.0
"""Goal: the checks see every source file, and tell code from comments and literals.
Method: small trees and texts."""

import unittest
from pathlib import Path

from planted import PlantedTree

import tree


class Files(PlantedTree):
    def test_passes_over_builds_and_hidden_folders_but_not_over_ci(self):
        for name in ("a.cpp", "src/b.cpp", "src/build/c.cpp", ".ci/run"):
            self.write(name, "")
        for name in ("build/d.cpp", "build-asan/e.cpp", ".git/f", "src/__pycache__/g.pyc"):
            self.write(name, "")
        self.assertEqual(
            {str(path) for path in tree.files(self.root)},
            {"a.cpp", "src/b.cpp", "src/build/c.cpp", ".ci/run"},
        )

    def test_lists_only_the_folders_asked_for(self):
        self.write("a.cpp", "")
        self.write("src/b.cpp", "")
        self.assertEqual(tree.files(self.root, "src", "absent"), [Path("src/b.cpp")])


class Text(unittest.TestCase):
    SOURCE = (
        'int a = 1;  // one "quoted"\nauto b = "// not a comment";\n'
        "/* two\nlines */ char c = '\"';\n"
    )

    def test_code_has_neither_comments_nor_literals(self):
        self.assertEqual(
            tree.code_only(self.SOURCE), 'int a = 1;   \nauto b = "";\n \n char c = \'\';\n'
        )

    def test_comments_keep_their_lines(self):
        self.assertEqual(
            tree.comments_only(self.SOURCE).splitlines(),
            ['// one "quoted"', "", "/* two", "lines */"],
        )

    def test_raw_strings_and_digit_separators(self):
        self.assertEqual(tree.code_only('f(R"x(a " // b)x"); int n = 10\'000; g(\'a\');'),
                         'f(""); int n = 10\'000; g(\'\');')


if __name__ == "__main__":
    unittest.main()
