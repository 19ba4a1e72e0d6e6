# SPDX-License-Identifier: Apache-2.0
"""Finds functions in C++ text: where each begins, how long it is, how many parameters it takes.

Not a parser: it follows braces and looks at what stands before each. Good for code in the style of
this project; lambdas and local classes count as part of the function around them.
"""

import re
from collections import namedtuple

from tree import code_only

# `lines` is None for a declaration without a body.
Function = namedtuple("Function", "name line lines parameters")

_SCOPE = re.compile(r"\b(namespace|class|struct|union|enum)\b|\bextern\s*\"\"\s*$")
_NOT_A_FUNCTION = re.compile(
    r"^\s*(if|for|while|switch|catch|do|else|try|using|typedef|static_assert|return|concept)\b"
)
_ACCESS = re.compile(r"\s*(public|private|protected)\s*:")
_WITHOUT = (
    re.compile(r"\[\[.*?\]\]", re.DOTALL),
    re.compile(r"\b(?:decltype|alignas|explicit)\s*\((?:[^()]|\([^()]*\))*\)"),
)


def functions(text):
    """All functions of the text, in order of their ends."""
    code = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", _newlines, code_only(text), flags=re.MULTILINE)
    return _Scanner(code).run()


def _newlines(match):
    return "\n" * match.group().count("\n")


class _Scanner:
    """One walk over the text. `outer` holds what surrounds the statement that is being read."""

    def __init__(self, code):
        self.code = code
        self.statement = ""
        self.first_line = None
        self.kind = "scope"
        self.outer = []
        self.found = []
        self.line = 1

    def run(self):
        for char in self.code:
            if char == "{":
                self._open()
            elif char == "}" and self.outer:
                self._close()
            elif char == ";" and self.kind == "scope" and self._parens() == 0:
                self._declaration()
                self._next_statement()
            elif self.kind == "scope":
                if self.first_line is None and not char.isspace():
                    self.first_line = self.line
                self.statement += char
                if char == ":" and _ACCESS.fullmatch(self.statement):
                    self._next_statement()
            self.line += char == "\n"
        return self.found

    def _parens(self):
        return self.statement.count("(") - self.statement.count(")")

    def _next_statement(self):
        self.statement = ""
        self.first_line = None

    def _open(self):
        kind = "inner"
        if self.kind == "scope":
            head = _head(self.statement)
            if head is not None and self._parens() == 0 and _may_have_body(self.statement):
                kind = "function"
            elif _SCOPE.search(self.statement) and self._parens() == 0:
                kind = "scope"
        self.outer.append((self.kind, self.statement, self.first_line))
        self.kind = kind
        self._next_statement()

    def _close(self):
        kind = self.kind
        self.kind, self.statement, self.first_line = self.outer.pop()
        if kind == "function":
            name, parameters = _head(self.statement)
            length = self.line - self.first_line + 1
            self.found.append(Function(name, self.first_line, length, parameters))
        if kind == "inner":
            self.statement += "{}"  # of an initializer: the statement goes on
        else:
            self._next_statement()

    def _declaration(self):
        head = _head(self.statement)
        if head is not None:
            self.found.append(Function(head[0], self.first_line, None, head[1]))


def _clean(statement):
    for pattern in _WITHOUT:
        statement = pattern.sub(" ", statement)
    statement = _without_template_heads(statement)
    return re.sub(r"\boperator\s*(\(\s*\)|[^\s\w(]+|\s\w[\w:]*)(?=\s*\()", "operator_", statement)


def _without_template_heads(statement):
    while match := re.match(r"\s*template\s*<", statement):
        depth, end = 1, match.end()
        while depth and end < len(statement):
            depth += {"<": 1, ">": -1}.get(statement[end], 0)
            end += 1
        statement = re.sub(r"^\s*requires\s+[\w:]+(<[^()]*?>)?", "", statement[end:])
    return statement


def _head(statement):
    """Name and number of parameters, if the statement begins like a function."""
    statement = _clean(statement)
    if _NOT_A_FUNCTION.match(statement):
        return None
    match = re.search(r"([~\w]+)\s*\(", statement)
    if match is None or "=" in statement[: match.start()]:
        return None
    before = statement[: match.start()].strip()
    if re.search(r"\b(class|struct|enum|union|namespace)\s+[\w:]*$", before):
        return None
    depth, end = 1, match.end()
    while depth and end < len(statement):
        depth += {"(": 1, ")": -1}.get(statement[end], 0)
        end += 1
    return match.group(1), _count(statement[match.end() : end - 1])


def _may_have_body(statement):
    """Whether what stands before a brace ends like a function's head, not like a member's name."""
    ends = _clean(statement).rstrip()
    if re.search(r"(\)|\bconst|\bnoexcept|\boverride|\bfinal|&|\})$", ends):
        return True
    return re.search(r"\)[^()=:]*->\s*[\w:<>,&*\s]+$", ends) is not None


def _count(parameters):
    if parameters.strip() in ("", "void"):
        return 0
    depth, count = 0, 1
    for char in parameters.replace("->", "").replace(">=", "").replace("<=", ""):
        if char in "(<[{":
            depth += 1
        elif char in ")>]}":
            depth -= 1
        elif char == "," and depth == 0:
            count += 1
    return count
