# SPDX-License-Identifier: Apache-2.0
"""Goal: functions are found with their lines and parameters, whatever C++ surrounds them.
Method: one text for each shape that the project uses."""

import unittest

import planted  # noqa: F401, for the path to scripts/
from cpp_functions import functions


def found(text):
    return [(f.name, f.lines, f.parameters) for f in functions(text)]


class Functions(unittest.TestCase):
    def test_free_function(self):
        self.assertEqual(found("int f(int a, int b) {\n  if (a) { return b; }\n}\n"), [("f", 3, 2)])

    def test_declaration(self):
        self.assertEqual(found("namespace a {\nint f(int a,\n      int b) noexcept;\n}"),
                         [("f", None, 2)])

    def test_commas_inside_types_and_defaults_do_not_count(self):
        self.assertEqual(found("void f(std::map<int, int> a, std::array<int, 3> b = {1, 2, 3});"),
                         [("f", None, 2)])
        self.assertEqual(found("void f(std::function<int(int, int)> a) {}"), [("f", 1, 1)])

    def test_constructor_with_initializers(self):
        text = "struct A {\n  A(int a, int b) noexcept : a_{a}, b_(b) {\n  }\n  int a_{1};\n};"
        self.assertEqual(found(text), [("A", 2, 2)])

    def test_member_of_class_with_base(self):
        text = "class A : public B<int> {\n public:\n  int f() const override { return 1; }\n};"
        self.assertEqual(found(text), [("f", 1, 0)])

    def test_templates_operators_and_attributes(self):
        text = (
            "template <class T, class U = std::pair<int, T>>\n[[nodiscard]] auto f(T a) -> U {\n}\n"
            "struct B {\n  bool operator==(const B&) const = default;\n"
            "  int operator()(int a, int b) { return a; }\n  explicit operator bool() const;\n};"
        )
        self.assertEqual(found(text), [("f", 3, 1), ("operator_", None, 1), ("operator_", 1, 2),
                                       ("operator_", None, 0)])

    def test_what_is_not_a_function(self):
        text = (
            "#define M(a, b, c, d, e, f) \\\n  if (a) { g(b); }\n"
            "constexpr std::array<int, 2> kA{1, 2};\nenum class E { kA, kB };\n"
            "auto lambda = [](int a, int b, int c) { return a; };\nusing F = int (*)(int, int);\n"
        )
        self.assertEqual(found(text), [])

    def test_line_of_the_beginning(self):
        self.assertEqual(functions("\n\n// about\nint f() {\n}\n")[0].line, 4)

    def test_test_of_googletest(self):
        self.assertEqual(found("TEST(Suite, Name) {\n  const A a{1};\n  EXPECT_EQ(a, b);\n}\n"),
                         [("TEST", 4, 2)])


if __name__ == "__main__":
    unittest.main()
