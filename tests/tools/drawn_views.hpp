// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "kvferry/layout/view.hpp"
#include "spec.hpp"

namespace kvferry::tool {

/// A view of a small model: "fc", "ls2,order=hnd", "fc,tp=0/3".
inline layout::LayoutView view_of_spec(std::string_view keys) {
  const auto spec = parse_spec("geometry:smollm2-135m,blocks=4,layout=" + std::string{keys});
  EXPECT_TRUE(spec) << spec.error().message;
  return layout_of(*spec, layout::Assumptions{})->view;
}

/// Four blocks of 16 bytes, 24 apart, from byte 0 of a region of 100.
inline layout::LayoutView padded_view() {
  layout::LayoutView::Parts parts;
  parts.regions = {Region{0x1000, 100}};
  parts.axes[0] = {4, 24, 0, 4, 0};  // block
  parts.axes[1] = {1, 0, 0, 1, 0};
  parts.axes[2] = {1, 0, 0, 1, 0};
  parts.axes[3] = {2, 8, 0, 2, 0};  // token
  parts.axes[4] = {1, 0, 0, 1, 0};
  parts.axes[5] = {4, 2, 0, 4, 0};  // element
  parts.element_bytes = 2;
  parts.page_size = 2;
  parts.inner_dim = 4;
  return *layout::LayoutView::create(parts);
}

/// K and V of two layers in four regions.
inline layout::LayoutView four_region_view() {
  layout::LayoutView::Parts parts;
  parts.regions = {Region{0x1000, 64}, Region{0x2000, 64}, Region{0x3000, 80}, Region{0x4000, 64}};
  parts.axes[0] = {4, 16, 0, 4, 0};  // block
  parts.axes[1] = {2, 0, 0, 2, 2};   // layer
  parts.axes[2] = {2, 0, 0, 2, 1};   // outer
  parts.axes[3] = {2, 8, 0, 2, 0};   // token
  parts.axes[4] = {2, 4, 0, 2, 0};   // head
  parts.axes[5] = {2, 2, 0, 2, 0};   // element
  parts.element_bytes = 2;
  parts.page_size = 2;
  parts.inner_dim = 4;
  return *layout::LayoutView::create(parts);
}

inline std::vector<layout::LayoutView> views_of_every_kind() {
  std::vector<layout::LayoutView> views{padded_view(), four_region_view()};
  for (const char* keys :
       {"fc", "fc,order=hnd", "fc,order=utp", "fc,order=upp", "ls", "ls2,order=hnd",
        "fc,tp=1/3,pp=2/5", "ls2,pp=1/10,page=1", "fc,tp=2/3,pp=0/30"}) {
    const auto narrow = view_of_spec(keys).slice(layout::Axis::kLayer, 0, 1);  // Fewer places.
    views.push_back(*narrow);
  }
  views.push_back(*view_of_spec("fc,order=hnd,pp=0/10").collapsed());
  return views;
}

}  // namespace kvferry::tool
