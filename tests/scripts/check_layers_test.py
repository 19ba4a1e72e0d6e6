# SPDX-License-Identifier: Apache-2.0
"""Goal: every breach of the layers is found, and what is allowed is not.
Method: a small tree without breaches, then one breach at a time."""

import unittest

from planted import PlantedTree

import check_layers

WIRE = "kvferry_add_library(wire HDRS kvferry/wire/a.hpp SRCS a.cpp DEPS kvferry::layout)\n"


class CheckLayers(PlantedTree):
    def setUp(self):
        super().setUp()
        self.write("include/kvferry/wire/a.hpp", '#include "kvferry/base/b.hpp"\nint f();\n')
        self.write("src/wire/a.cpp", '#include "kvferry/wire/a.hpp"\n#include "base/mutex.hpp"\n')
        self.write("src/wire/CMakeLists.txt", WIRE)

    def expect(self, *parts):
        breaches = check_layers.check(self.root)
        self.assertEqual(len(breaches), 1, breaches)
        for part in parts:
            self.assertIn(part, breaches[0])

    def test_accepts_what_lies_below_directly_or_not(self):
        self.assertEqual(check_layers.check(self.root), [])

    def test_finds_an_include_of_a_neighbour(self):
        self.write("src/layout/l.cpp", '\n#include "kvferry/wire/a.hpp"\n')
        self.expect("src/layout/l.cpp:2", "layout may not include wire")

    def test_finds_an_include_of_the_private_header_of_a_neighbour(self):
        self.write("src/base/b.cpp", '#include "wire/format.hpp"\n')
        self.expect("src/base/b.cpp:1", "base may not include wire")

    def test_what_protoc_makes_is_for_sources_only(self):
        self.write("src/wire/a.cpp", '#include "kvferry/v1/worker.pb.h"\n')
        self.assertEqual(check_layers.check(self.root), [])
        self.write("include/kvferry/wire/a.hpp", '#include "kvferry/v1/worker.pb.h"\n')
        self.expect("include/kvferry/wire/a.hpp:1", "includes kvferry/v1/worker.pb.h")

    def test_manager_may_include_neither_exchange_nor_trust(self):
        for folder in ("exchange", "trust"):
            self.write("src/manager/m.cpp", f'#include "kvferry/{folder}/x.hpp"\n')
            self.expect(f"manager may not include {folder}")

    def test_finds_a_folder_outside_of_the_table(self):
        self.write("src/extra/e.cpp", "")
        self.expect("extra is not in the table")

    def test_finds_a_private_header_in_a_public_one(self):
        self.write("include/kvferry/wire/a.hpp", '#include "base/mutex.hpp"\n')
        self.expect("public header includes the private base/mutex.hpp")

    def test_finds_foreign_headers_in_a_public_one(self):
        for header in ("nlohmann/json.hpp", "CLI/CLI.hpp", "fmt/format.h", "cuda.h", "nixl.h",
                       "curl/curl.h", "sodium.h", "google/protobuf/message.h"):
            self.write("include/kvferry/wire/a.hpp", f"#include <{header}>\n")
            self.expect(f"includes {header}")

    def test_finds_foreign_names_in_a_public_one_but_not_in_its_comments(self):
        for name in ("nlohmann::json", "fmt::memory_buffer", "CUdeviceptr", "cudaStream_t",
                     "nixlAgent", "nixl_capi_agent_t", "CURL*", "crypto_sign_state",
                     "sodium_memzero"):
            self.write("include/kvferry/wire/a.hpp", f"// {name}\nvoid f({name} x);\n")
            self.expect("a.hpp:2", "a public header names")

    def test_fields_of_the_wire_format_are_not_foreign(self):
        self.write("include/kvferry/wire/a.hpp", "int nixl_metadata, nixl_agent_name;\n")
        self.assertEqual(check_layers.check(self.root), [])

    def test_finds_a_dependency_upwards(self):
        self.write("src/wire/CMakeLists.txt", WIRE.replace("::layout", "::layout kvferry::plan"))
        self.expect("wire may not depend on plan")

    def test_finds_an_include_without_dependency(self):
        self.write("src/wire/CMakeLists.txt", WIRE.replace("::layout", "::base"))
        self.write("src/wire/a.cpp", '#include "kvferry/layout/view.hpp"\n')
        self.expect("layout is not in DEPS or PRIVATE_DEPS", "src/wire/a.cpp:1")

    def test_finds_a_public_include_with_a_private_dependency(self):
        self.write("src/wire/CMakeLists.txt", WIRE.replace("DEPS", "PRIVATE_DEPS"))
        self.expect("base is not in DEPS and is included at include/kvferry/wire/a.hpp:1")

    def test_finds_files_that_are_not_listed(self):
        self.write("src/wire/b.cpp", "")
        self.expect("b.cpp is not listed")
        (self.root / "src/wire/b.cpp").unlink()
        self.write("include/kvferry/wire/b.hpp", "")
        self.expect("kvferry/wire/b.hpp is not listed")

    def test_table_has_no_circle(self):
        for folder in check_layers.MAY_INCLUDE:
            for below in check_layers.MAY_INCLUDE[folder]:
                self.assertNotIn(folder, check_layers.closure(below))


if __name__ == "__main__":
    unittest.main()
