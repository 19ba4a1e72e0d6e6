# SPDX-License-Identifier: Apache-2.0
"""Goal: every rule of scripts/tidy.py finds what breaks it, and nothing else.
Method: a small tree without breaches, then one breach at a time. Words that must not appear in the
project are put together here, so that they do not appear in this file either."""

import unittest

from planted import LICENCE, PlantedTree

import tidy

TEST = LICENCE + "// Goal: g.\n// Method: m.\nTEST(Plan, Covers) {}\n"
ROWS = "".join(f"| {row} | about | not yet |\n" for row in tidy.FAILURE_ROWS)


class Tidy(PlantedTree):
    def setUp(self):
        super().setUp()
        self.write("src/plan/plan.cpp", LICENCE)
        self.write("tests/plan/plan_test.cpp", TEST)
        self.write("docs/failures.md", ROWS)

    def expect(self, rule, path, line=1):
        breaches = tidy.check(self.root)
        self.assertEqual(len(breaches), 1, breaches)
        self.assertTrue(breaches[0].startswith(f"{path}:{line}: {rule}: "), breaches[0])

    def test_accepts_a_clean_tree(self):
        self.assertEqual(tidy.check(self.root), [])

    def test_header_of_401_lines(self):
        header = LICENCE + "#pragma once\n"
        self.write("include/kvferry/plan/p.hpp", header + "\n" * 398)
        self.assertEqual(tidy.check(self.root), [])
        self.write("include/kvferry/plan/p.hpp", header + "\n" * 399)
        self.expect("file-length", "include/kvferry/plan/p.hpp")

    def test_source_of_501_lines(self):
        self.write("src/plan/plan.cpp", LICENCE + "\n" * 500)
        self.expect("file-length", "src/plan/plan.cpp")

    def test_test_of_701_lines(self):
        self.write("tests/plan/plan_test.cpp", TEST + "\n" * 697)
        self.expect("file-length", "tests/plan/plan_test.cpp")

    def test_line_of_101_columns(self):
        self.write("src/plan/plan.cpp", LICENCE + "//" + "x" * 98 + "\n//" + "x" * 99 + "\n")
        self.expect("line-length", "src/plan/plan.cpp", 3)

    def test_function_of_71_lines(self):
        self.write("src/plan/plan.cpp", LICENCE + "int f() {\n" + "g();\n" * 68 + "}\n")
        self.assertEqual(tidy.check(self.root), [])
        self.write("src/plan/plan.cpp", LICENCE + "int f() {\n" + "g();\n" * 69 + "}\n")
        self.expect("function-length", "src/plan/plan.cpp", 2)

    def test_six_parameters(self):
        self.write("src/plan/plan.cpp", LICENCE + "int f(int, int, int, int, int);\n")
        self.assertEqual(tidy.check(self.root), [])
        self.write("src/plan/plan.cpp", LICENCE + "int f(int, int, int, int, int, int);\n")
        self.expect("parameters", "src/plan/plan.cpp", 2)

    def test_python_functions(self):
        licence = LICENCE.replace("//", "#")
        self.write("scripts/a.py", licence + "def f():\n" + "    g()\n" * 70)
        self.expect("function-length", "scripts/a.py", 2)
        self.write("scripts/a.py", licence + "def f(self, a, b, c, d, e):\n    pass\n")
        self.assertEqual(tidy.check(self.root), [])
        self.write("scripts/a.py", licence + "def f(a, b, c, d, e, g):\n    pass\n")
        self.expect("parameters", "scripts/a.py", 2)

    def test_no_licence(self):
        self.write("src/plan/CMakeLists.txt", "project(x)\n")
        self.expect("licence", "src/plan/CMakeLists.txt")

    def test_no_pragma_once(self):
        self.write("src/plan/p.hpp", LICENCE)
        self.expect("pragma-once", "src/plan/p.hpp")

    def test_test_without_goal_or_method(self):
        self.write("tests/plan/plan_test.cpp", LICENCE + "// Goal: g.\nTEST(Plan, Covers) {}\n")
        self.expect("test-comment", "tests/plan/plan_test.cpp")

    def test_todo(self):
        self.write("src/plan/plan.cpp", LICENCE + "// TODO(perf): cache this.\n")
        self.assertEqual(tidy.check(self.root), [])
        for text in ("TODO: x", "TODO(me): x", "TODO x", "TODO(api) x"):
            self.write("src/plan/plan.cpp", LICENCE + f"// {text}\n")
            self.expect("todo", "src/plan/plan.cpp", 2)
        self.write("src/plan/plan.cpp", LICENCE + "// TODO(now): x\n")
        self.expect("todo-now", "src/plan/plan.cpp", 2)

    def test_source_without_test(self):
        self.write("src/plan/cursor.cpp", LICENCE)
        self.expect("no-test", "src/plan/cursor.cpp")

    def test_forbidden_words(self):
        for text in ("/wor" "k/main", "../shar" "ed/x.md", "a helper ag" "ent", "this sess" "ion",
                     "iss" "ue 3", "iss" "ue #12", "https://pypi.o" "rg/x", "crates.i" "o",
                     "deb.debian.o" "rg", "/tm" "p/k/x"):
            self.write("docs/a.md", f"\nsee {text} there\n")
            self.expect("word", "docs/a.md", 2)

    def test_words_that_only_look_forbidden(self):
        self.write("docs/a.md", "a network/workers, shared-memory/x, NIXL #12, issues of order\n")
        self.assertEqual(tidy.check(self.root), [])

    def test_banned_calls(self):
        for call in ('printf("x")', 'std::fprintf(stderr, "x")', "std::cout << 1", "std::getenv(x)",
                     "::getenv(x)", "abort()", "std::exit(1)", "_exit(1)", "std::cerr << x"):
            self.write("src/plan/plan.cpp", LICENCE + f"int f() {{\n  {call};\n}}\n")
            self.expect("banned-call", "src/plan/plan.cpp", 3)

    def test_calls_that_only_look_banned(self):
        self.write("src/plan/plan.cpp", LICENCE + '// printf(x)\nvoid g() {\n  f("abort()");\n'
                   "  snprintf(b, n, f);\n  thread.exit(1);\n  on_exit(1);\n}\n")
        self.assertEqual(tidy.check(self.root), [])

    def test_a_banned_call_with_a_reason(self):
        allow = "  std::getenv(x);  // tidy-allow(banned-call): the reason\n"
        self.write("src/plan/plan.cpp", LICENCE + "int f() {\n" + allow + "}\n")
        self.assertEqual(tidy.check(self.root), [])
        self.write("src/plan/plan.cpp", LICENCE + allow.replace(": the reason", ":"))
        self.expect("banned-call", "src/plan/plan.cpp", 2)

    def test_sleep_in_a_test(self):
        self.write("tests/plan/plan_test.cpp", TEST + "  std::this_thread::sleep_for(x);\n")
        self.expect("banned-call", "tests/plan/plan_test.cpp", 5)

    def test_document_that_names_what_is_not_there(self):
        self.write("docs/a.md", "`src/plan/plan.cpp` and `src/plan/plan` and src/<folder>/x.cpp\n")
        self.assertEqual(tidy.check(self.root), [])
        self.write("docs/a.md", "\n`src/plan/gone.cpp`.\n")
        self.expect("named-path", "docs/a.md", 2)

    def test_comment_that_names_what_is_not_there(self):
        self.write("src/plan/plan.cpp", LICENCE + "int a;  // docs/spec/gone.md\n")
        self.expect("named-path", "src/plan/plan.cpp", 2)

    def test_link_to_nowhere(self):
        self.write("docs/a.md", "[a](failures.md#x) [b](#y) [c](https://example.com/z)\n")
        self.assertEqual(tidy.check(self.root), [])
        self.write("docs/a.md", "[a](gone.md)\n")
        self.expect("link", "docs/a.md")

    def test_failures_name_tests_that_exist(self):
        licence = LICENCE.replace("//", "#")
        self.write("tests/plan/CMakeLists.txt", licence + "add_test(NAME e2e.x\n")
        for tests in ("`Plan.Covers`", "`tests/plan/plan_test.cpp`", "`e2e.x`, `Plan.Covers`"):
            self.write("docs/failures.md", ROWS.replace("not yet", tests, 1))
            self.assertEqual(tidy.check(self.root), [])
        for tests in ("`Plan.Gone`", "later", "`Plan.Covers`, `Plan.Gone`"):
            self.write("docs/failures.md", ROWS.replace("not yet", tests, 1))
            self.expect("failures", "docs/failures.md", 1)

    def test_failures_have_every_row(self):
        self.write("docs/failures.md", ROWS.replace("| 7 |", "| x |"))
        self.expect("failures", "docs/failures.md")


if __name__ == "__main__":
    unittest.main()
