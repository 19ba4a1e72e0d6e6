// SPDX-License-Identifier: Apache-2.0
// Goal: a storage kind keeps what tells two of a kind apart, and prints as in the documents.
// Method: every kind, with the largest number that it holds.
#include "kvferry/base/storage_kind.hpp"

#include <gtest/gtest.h>

namespace kvferry {
namespace {

TEST(StorageKind, PrintsKindAndNumber) {
  EXPECT_EQ(to_string(StorageKind::system()), "System");
  EXPECT_EQ(to_string(StorageKind::pinned()), "Pinned");
  EXPECT_EQ(to_string(StorageKind::device(4294967295U)), "Device(4294967295)");
  EXPECT_EQ(to_string(StorageKind::disk(18446744073709551615U)), "Disk(18446744073709551615)");
}

TEST(StorageKind, IsEqualOnlyWithEqualNumber) {
  EXPECT_EQ(StorageKind::device(3), StorageKind::device(3));
  EXPECT_NE(StorageKind::device(3), StorageKind::device(4));
  EXPECT_NE(StorageKind::device(3), StorageKind::disk(3));
  EXPECT_NE(StorageKind::system(), StorageKind::pinned());
}

TEST(StorageKind, IsSystemByDefault) { EXPECT_EQ(StorageKind{}, StorageKind::system()); }

TEST(StorageKind, KeepsTheIndexOfTheWireFormat) {
  EXPECT_EQ(static_cast<int>(StorageKind::system().type), 0);
  EXPECT_EQ(static_cast<int>(StorageKind::pinned().type), 1);
  EXPECT_EQ(static_cast<int>(StorageKind::device(0).type), 2);
  EXPECT_EQ(static_cast<int>(StorageKind::disk(0).type), 3);
}

TEST(StorageKind, PrintsAKindOfALaterVersion) {
  EXPECT_EQ(to_string(StorageKind{static_cast<StorageKind::Type>(9), 0}), "unknown");
}

}  // namespace
}  // namespace kvferry
