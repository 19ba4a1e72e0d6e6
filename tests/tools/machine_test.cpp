// SPDX-License-Identifier: Apache-2.0
// Goal: a report says on what it was measured, and "unknown" rather than something wrong.
// Method: texts as the kernel writes them, and this machine.
#include "machine.hpp"

#include <gtest/gtest.h>

namespace kvferry::tool {
namespace {

TEST(Machine, FindsTheProcessor) {
  EXPECT_EQ(processor_in("processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nflags\t: fpu\n"),
            "Some CPU @ 2 GHz");
  EXPECT_EQ(processor_in("processor\t: 0\n"), "unknown");
  EXPECT_EQ(processor_in(""), "unknown");
}

TEST(Machine, FindsTheFileSystemThatLiesOnTop) {
  constexpr const char* kMounts =
      "/dev/vda / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/b /tmp/deep xfs rw 0 0\n"
      "none /tmp/deep ramfs rw 0 0\n";
  EXPECT_EQ(file_system_in(kMounts, "/home/me"), "ext4");
  EXPECT_EQ(file_system_in(kMounts, "/tmp"), "tmpfs");
  EXPECT_EQ(file_system_in(kMounts, "/tmp2"), "ext4") << "not in /tmp";
  EXPECT_EQ(file_system_in(kMounts, "/tmp/deep/file"), "ramfs") << "the later one hides the other";
  EXPECT_EQ(file_system_in("", "/"), "unknown");
}

TEST(Machine, IsThisOne) {
  const Machine machine = machine_with("/proc");
  EXPECT_EQ(machine.file_system, "proc");
  EXPECT_GE(machine.processors, 1);
  EXPECT_TRUE(machine.kernel.starts_with("Linux ")) << machine.kernel;
  EXPECT_EQ(machine_with("/nowhere").file_system, "unknown");
}

}  // namespace
}  // namespace kvferry::tool
