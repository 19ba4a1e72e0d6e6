// SPDX-License-Identifier: Apache-2.0
// Goal: mistakes that the types of `base` exist to prevent do not compile.
// Method: the tests compile this file once as it is, which works, and once for each KVFERRY_CASE,
// which must stop with the words that CMakeLists.txt expects.
#include "kvferry/base/ids.hpp"
#include "kvferry/base/result.hpp"

namespace {

using kvferry::BlockId;
using kvferry::LayoutHandle;
using kvferry::LayoutId;
using kvferry::Result;
using kvferry::WorkerId;

[[maybe_unused]] WorkerId owner(LayoutHandle handle) { return handle.worker_id(); }
[[maybe_unused]] Result<int> parse() { return 1; }

[[maybe_unused]] void use() {
  [[maybe_unused]] const LayoutHandle handle{WorkerId{7}, LayoutId{1}};
#if KVFERRY_CASE == 1  // a bare integer
  const WorkerId worker = 5;
#elif KVFERRY_CASE == 2  // the two ids the wrong way round
  const LayoutHandle swapped{LayoutId{1}, WorkerId{7}};
#elif KVFERRY_CASE == 3  // a comparison across kinds
  const bool equal = WorkerId{1} == BlockId{1};
#elif KVFERRY_CASE == 4  // arithmetic on an id
  const auto next = BlockId{1} + BlockId{1};
#elif KVFERRY_CASE == 5  // an outcome that nobody looks at
  parse();
#elif KVFERRY_CASE == 6  // an outcome taken for its value
  const int value = parse();
#endif
}

}  // namespace
