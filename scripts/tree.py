# SPDX-License-Identifier: Apache-2.0
"""Lists the files of the project and takes C++ text apart; shared by the checks beside it."""

import os
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Inside "..." and '...' nothing but the quotes is kept, comments become blanks; lines stay lines.
_TOKEN = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(?P<tag>[^()\s]*)\(.*?\)(?P=tag)"|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])*'",
    re.DOTALL,
)


def files(root, *folders):
    """All files below the folders (default: the whole project), as paths relative to root."""
    found = []
    for start in folders or (".",):
        for path, names, file_names in os.walk(Path(root) / start):
            here = Path(path).relative_to(root)
            names[:] = sorted(n for n in names if not _is_passed_over(here, n))
            found += [here / name for name in sorted(file_names)]
    return found


def _is_passed_over(here, name):
    built = here == Path(".") and (name == "build" or name.startswith("build-"))
    return built or name == "__pycache__" or (name.startswith(".") and name != ".ci")


def code_only(text):
    """C++ text without comments and without the insides of literals, line for line."""

    def blank(match):
        token = match.group()
        if token.startswith(("//", "/*")):
            kept = " "
        elif token.startswith("'"):
            kept = "''"
        else:
            kept = '""'
        return kept + "\n" * token.count("\n")

    return _TOKEN.sub(blank, text)


def comments_only(text):
    """The comments of C++ text, line for line."""
    kept = []
    end = 0
    for match in _TOKEN.finditer(text):
        kept.append("\n" * text.count("\n", end, match.start()))
        token = match.group()
        kept.append(token if token.startswith(("//", "/*")) else "\n" * token.count("\n"))
        end = match.end()
    return "".join(kept)
