#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the style of the tree: sizes, licence lines, words, calls, and what documents name.

Prints one line for each breach, `file:line: rule: what`. A line may break the rule `banned-call`
for a reason written on it: `// tidy-allow(banned-call): reason`.
"""

import ast
import re
import sys
from pathlib import Path

import cpp_functions
import tree

LINE_COLUMNS = 100
FUNCTION_LINES = 70
PARAMETERS = 5
FILE_LINES = {"header": 400, "source": 500, "test": 700}

# Sources whose behaviour is tested elsewhere, and where.
WITHOUT_OWN_TEST = {}

CPP = (".hpp", ".cpp", ".cu")
SOURCES = CPP + (".py", ".sh", ".cmake", ".proto", ".in")
SOURCE_NAMES = ("CMakeLists.txt", "Makefile", ".clang-format", ".clang-tidy", "run")

# Cut in two, so that this file does not hold what it looks for.
FORBIDDEN_WORDS = [
    (re.compile(pattern, re.IGNORECASE), name)
    for pattern, name in (
        (r"/wor" r"k/", "path of a machine"),
        (r"/tm" r"p/k\b", "path of a machine"),
        (r"(?<![\w-])(\.\./)?shar" r"ed/\w", "document outside of the project"),
        (r"\bhelper ag" r"ents?\b", "word of another trade"),
        (r"\bsess" r"ions?\b", "word of another trade"),
        (r"\biss" r"ues?\s+#?\d", "number of an issue"),
        (r"\b(pypi\.o" r"rg|crates\.i" r"o|deb\.debian\.o" r"rg|npmjs\.c" r"om)\b", "registry"),
    )
]

# The library neither prints, nor ends the process, nor reads the environment.
BANNED_CALLS = re.compile(
    r"(?<![\w.>])(?:std::|::)?"
    r"(?:(?:v?f?printf|puts|fputs|putchar|getenv|secure_getenv|setenv|abort|_?exit|quick_exit)\s*\("
    r"|(?:cout|cerr|clog)\b)"
)
BANNED_IN_TESTS = re.compile(
    r"(?<![\w.>])(?:\w+::)*(?:sleep_for|sleep_until|u?sleep|nanosleep)\s*\("
)
ALLOWED = re.compile(r"tidy-allow\(([\w-]+)\): \S+")

TODO = re.compile(r"\bTODO\b(?:\((\w*)\))?(:?)")
TODO_KINDS = ("perf", "api", "test", "port")

FOLDERS = (
    "bench cmake docs examples fuzz include proto scripts src testing tests tools vectors".split()
)
NAMED_PATH = re.compile(r"(?<![\w./-])((?:%s)/[\w./-]*\w/?)" % "|".join(FOLDERS))
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
FAILURE_ROWS = range(1, 38)


def kind_of(path):
    if path.parts[0] == "tests":
        return "test"
    if path.suffix == ".hpp" and (path.parts[0] == "include" or "include" in path.parts[:-1]):
        return "header"
    return "source"


def is_source(path):
    return path.suffix in SOURCES or path.name in SOURCE_NAMES


def check(root=tree.ROOT):
    """All breaches of the tree below root, sorted."""
    root = Path(root)
    breaches = []
    for path in tree.files(root):
        if path.parts[0] == "vectors":
            continue
        try:
            text = (root / path).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        breaches += check_words(path, text)
        if is_source(path):
            breaches += check_size(path, text) + check_first_lines(path, text)
            breaches += check_todo(path, text)
        if path.suffix in CPP:
            breaches += check_functions(path, text) + check_calls(path, text)
        if path.suffix == ".py":
            breaches += check_python(path, text)
        breaches += check_named_paths(root, path, text)
        if path.suffix == ".md":
            breaches += check_links(root, path, text)
    breaches += check_tests_exist(root) + check_failures(root)
    return sorted(set(breaches))


def breach(path, line, rule, what):
    return f"{path}:{line}: {rule}: {what}"


def check_size(path, text):
    lines = text.splitlines()
    bound = FILE_LINES[kind_of(path)]
    found = [
        breach(path, number, "line-length", f"{len(line)} columns of {LINE_COLUMNS}")
        for number, line in enumerate(lines, 1)
        if len(line) > LINE_COLUMNS
    ]
    if len(lines) > bound:
        found.append(breach(path, 1, "file-length", f"{len(lines)} lines of {bound}"))
    return found


def check_first_lines(path, text):
    found = []
    if "SPDX-License-Identifier: Apache-2.0" not in "\n".join(text.splitlines()[:2]):
        found.append(breach(path, 1, "licence", "no SPDX line"))
    if path.suffix == ".hpp" and "\n#pragma once\n" not in text:
        found.append(breach(path, 1, "pragma-once", "no #pragma once"))
    if path.name.endswith("_test.cpp"):
        first_comment = re.match(r"(//[^\n]*\n)*", text).group()
        if "Goal: " not in first_comment or "Method: " not in first_comment:
            found.append(breach(path, 1, "test-comment", "does not say its goal and method"))
    return found


def check_todo(path, text):
    if path.name in ("tidy.py", "tidy_test.py"):
        return []
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        for match in TODO.finditer(line):
            if match.group(1) == "now":
                found.append(breach(path, number, "todo-now", line.strip()))
            elif match.group(1) not in TODO_KINDS or match.group(2) != ":":
                found.append(breach(path, number, "todo", f"not TODO({'|'.join(TODO_KINDS)}): ..."))
    return found


def check_words(path, text):
    return [
        breach(path, number, "word", f"{name}: {match.group()}")
        for number, line in enumerate(text.splitlines(), 1)
        for pattern, name in FORBIDDEN_WORDS
        for match in pattern.finditer(line)
    ]


def check_functions(path, text):
    found = []
    for function in cpp_functions.functions(text):
        if function.lines is not None and function.lines > FUNCTION_LINES:
            what = f"{function.name} has {function.lines} lines of {FUNCTION_LINES}"
            found.append(breach(path, function.line, "function-length", what))
        if function.parameters > PARAMETERS:
            what = f"{function.name} takes {function.parameters} parameters of {PARAMETERS}"
            found.append(breach(path, function.line, "parameters", what))
    return found


def check_calls(path, text):
    if path.parts[0] in ("src", "include"):
        banned = BANNED_CALLS
    elif path.parts[0] == "tests":
        banned = BANNED_IN_TESTS
    else:
        return []
    written = text.splitlines()
    found = []
    for number, line in enumerate(tree.code_only(text).splitlines(), 1):
        match = banned.search(line)
        allowed = ALLOWED.search(written[number - 1])
        if match and not (allowed and allowed.group(1) == "banned-call"):
            found.append(breach(path, number, "banned-call", match.group().strip()))
    return found


def check_python(path, text):
    found = []
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        lines = node.end_lineno - node.lineno + 1
        if lines > FUNCTION_LINES:
            what = f"{node.name} has {lines} lines of {FUNCTION_LINES}"
            found.append(breach(path, node.lineno, "function-length", what))
        names = [arg.arg for arg in node.args.args + node.args.kwonlyargs]
        count = sum(name not in ("self", "cls") for name in names)
        if count > PARAMETERS:
            what = f"{node.name} takes {count} parameters of {PARAMETERS}"
            found.append(breach(path, node.lineno, "parameters", what))
    return found


def check_named_paths(root, path, text):
    """Documents and comments name only what is there."""
    if path.suffix == ".md":
        looked_at = text
    elif path.suffix in CPP:
        looked_at = tree.comments_only(text)
    else:
        return []
    found = []
    for number, line in enumerate(looked_at.splitlines(), 1):
        for match in NAMED_PATH.finditer(line):
            name = match.group(1)
            followed_by = line[match.end() : match.end() + 1]
            is_pattern = followed_by in ("<", "*", "{") or "<" in line[: match.start()][-1:]
            if not is_pattern and not _is_there(root, name):
                found.append(breach(path, number, "named-path", f"there is no {name}"))
    return found


def _is_there(root, name):
    # "src/base/ids" for the pair of ids.hpp and ids.cpp is a name too.
    return (root / name).exists() or any((root / name).parent.glob(Path(name).name + ".*"))


def check_links(root, path, text):
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        for match in LINK.finditer(line):
            goal = match.group(1).split("#")[0]
            if goal and "://" not in goal and not goal.startswith("mailto:"):
                if not (root / path.parent / goal).exists():
                    found.append(breach(path, number, "link", f"there is no {goal}"))
    return found


def check_tests_exist(root):
    found = []
    for path in tree.files(root, "src"):
        test = Path("tests", *path.parts[1:-1], path.stem + "_test.cpp")
        if path.suffix == ".cpp" and not (root / test).exists():
            if str(path) not in WITHOUT_OWN_TEST:
                found.append(breach(path, 1, "no-test", f"there is no {test}"))
    for name in WITHOUT_OWN_TEST:
        if not (root / name).exists():
            found.append(breach(name, 1, "no-test", "excused, and not there"))
    return found


def test_names(root):
    """Names of all tests: Suite.Name of GoogleTest, and what add_test calls them."""
    names = set()
    for path in tree.files(root, "tests"):
        if path.suffix not in CPP and path.name != "CMakeLists.txt":
            continue
        text = (root / path).read_text()
        for suite, name in re.findall(r"\b(?:TYPED_)?TEST(?:_[FP])?\(\s*(\w+),\s*(\w+)\)", text):
            names.add(f"{suite}.{name}")
        names.update(re.findall(r"\badd_test\(NAME\s+([\w.]+)", text))
    return names


def check_failures(root):
    """docs/failures.md has every row, and names for each a test that exists, or "not yet"."""
    path = Path("docs/failures.md")
    if not (root / path).exists():
        return []
    names = test_names(root)
    found = []
    rows = set()
    for number, line in enumerate((root / path).read_text().splitlines(), 1):
        row = re.match(r"\|\s*(\d+)\s*\|(.*)\|(.*)\|\s*$", line)
        if row is None:
            continue
        rows.add(int(row.group(1)))
        tests = re.findall(r"`([^`]+)`", row.group(3))
        if not tests and row.group(3).strip() != "not yet":
            found.append(breach(path, number, "failures", "neither a test nor \"not yet\""))
        found += [
            breach(path, number, "failures", f"there is no test {name}")
            for name in tests
            if name not in names and not (root / name).exists()
        ]
    missing = [str(n) for n in FAILURE_ROWS if n not in rows]
    if missing:
        found.append(breach(path, 1, "failures", f"no row {', '.join(missing)}"))
    return found


def main():
    breaches = check(Path(sys.argv[1]) if len(sys.argv) > 1 else tree.ROOT)
    for line in breaches:
        print(line)
    print(f"tidy: {len(breaches)} breaches")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
