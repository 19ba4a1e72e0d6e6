#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Proves that each folder includes only what lies below it.

Checks the includes of src/ and include/, the DEPS of the CMake files against the table and against
the includes, and that public headers name no type of a library that may be missing.
"""

import re
import sys
from pathlib import Path

import tree

# What each folder may include directly; what those may include is allowed too.
MAY_INCLUDE = {
    "base": [],
    "layout": ["base"],
    "wire": ["layout"],
    "plan": ["layout"],
    "memory": ["base"],
    "disk": ["base"],
    "agent": ["memory"],
    "trust": ["base"],
    "exchange": ["base"],
    "transfer": ["layout", "plan", "memory", "disk", "agent"],
    "manager": ["layout", "wire", "plan", "memory", "disk", "agent", "transfer"],
}

# Headers, and names, of libraries that no public header may mention.
FOREIGN_HEADER = re.compile(
    r"^(nlohmann/|CLI/|fmt/|google/protobuf|.*\.pb\.h$|curl/|nixl|cuda|xxhash|sodium|gtest/|gmock/)"
)
FOREIGN_NAME = re.compile(
    r"\b(nlohmann|CLI|fmt|curl|google::protobuf)::|\bCU(deviceptr|stream|context)\b"
    r"|\bcuda[A-Z]\w*|\bnixl([A-Z]|_capi_)\w*|\bCURL\w*|\bsodium_\w+|\bcrypto_(core|sign)_\w+"
)

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)


def closure(folder):
    """The folders that `folder` may include, itself among them."""
    reached = {folder}
    for below in MAY_INCLUDE.get(folder, []):
        reached |= closure(below)
    return reached


def check(root=tree.ROOT):
    """One line for each breach."""
    root = Path(root)
    breaches = []
    used = {}
    for path in tree.files(root, "include", "src"):
        if path.suffix in (".hpp", ".cpp", ".cu"):
            breaches += _check_file(root, path, used)
    for folder in MAY_INCLUDE:
        breaches += _check_cmake(root, folder, used)
    return breaches


def _check_file(root, path, used):
    public = path.parts[0] == "include"
    folder = path.parts[2] if public else path.parts[1]
    if folder not in MAY_INCLUDE:
        return [f"{path}:1: folder {folder} is not in the table of layers"]
    breaches = []
    text = (root / path).read_text()
    for match in INCLUDE.finditer(text):
        where = f"{path}:{text.count(chr(10), 0, match.start()) + 1}"
        header = match.group(2)
        if public and FOREIGN_HEADER.match(header):
            breaches.append(f"{where}: a public header includes {header}")
        if header.endswith(".pb.h"):
            continue  # Made from proto/ for the library that includes it, of none of the layers.
        ours = re.match(r"(kvferry/)?(\w+)/", header)
        if ours is None or (ours.group(1) is None and ours.group(2) not in MAY_INCLUDE):
            continue
        if public and ours.group(1) is None:
            breaches.append(f"{where}: a public header includes the private {header}")
        if ours.group(2) not in closure(folder):
            breaches.append(f"{where}: {folder} may not include {ours.group(2)}")
        used.setdefault((folder, public), {})[ours.group(2)] = where
    if public:
        for number, line in enumerate(tree.code_only(text).splitlines(), 1):
            if name := FOREIGN_NAME.search(line):
                breaches.append(f"{path}:{number}: a public header names {name.group()}")
    return breaches


def _check_cmake(root, folder, used):
    path = Path("src") / folder / "CMakeLists.txt"
    if not (root / path).exists():
        return []
    lists = _library_arguments((root / path).read_text())
    breaches = []
    reached = {}
    for public, names in ((True, lists["DEPS"]), (False, lists["DEPS"] + lists["PRIVATE_DEPS"])):
        deps = [name.split("::")[1] for name in names if name.startswith("kvferry::")]
        breaches += [f"{path}:1: {folder} may not depend on {dep}"
                     for dep in deps if dep not in closure(folder) - {folder}]
        reached[public] = set().union({folder}, *(closure(dep) for dep in deps))
    for public in (True, False):
        for other, where in used.get((folder, public), {}).items():
            if other not in reached[public]:
                kind = "DEPS" if public else "DEPS or PRIVATE_DEPS"
                breaches.append(f"{path}:1: {other} is not in {kind} and is included at {where}")
    listed = {folder_file for folder_file in lists["SRCS"]}
    present = {str(p.relative_to(path.parent)) for p in tree.files(root, path.parent)
               if p.suffix == ".cpp"}
    breaches += [f"{path}:1: {name} is not listed" for name in sorted(present - listed)]
    listed = set(lists["HDRS"])
    present = {str(p.relative_to("include"))
               for p in tree.files(root, Path("include/kvferry") / folder) if p.suffix == ".hpp"}
    breaches += [f"{path}:1: {name} is not listed" for name in sorted(present - listed)]
    return sorted(set(breaches))


def _library_arguments(text):
    lists = {"HDRS": [], "SRCS": [], "DEPS": [], "PRIVATE_DEPS": []}
    text = re.sub(r"#[^\n]*", "", text)
    for call in re.finditer(r"kvferry_add_library\(([^)]*)\)", text):
        current = None
        for word in call.group(1).split()[1:]:
            if word in lists:
                current = lists[word]
            elif current is not None:
                current.append(word)
    return lists


def main():
    breaches = check(Path(sys.argv[1]) if len(sys.argv) > 1 else tree.ROOT)
    for breach in breaches:
        print(breach)
    print(f"layers: {len(breaches)} breaches")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
