// SPDX-License-Identifier: Apache-2.0
#include "kvferry/layout/compatibility.hpp"

#include <optional>
#include <string>
#include <utility>

namespace kvferry::layout {
namespace {

/// Collects in what two views differ.
class Differences {
 public:
  void expect_equal(std::string_view field, std::uint64_t left, std::uint64_t right,
                    std::string_view advice) {
    if (left != right) {
      add(field, std::to_string(left), std::to_string(right), advice);
    }
  }

  void add(std::string_view field, std::string left, std::string right, std::string_view advice) {
    reasons_.push_back(
        Reason{std::string{field}, std::move(left), std::move(right), std::string{advice}});
  }

  [[nodiscard]] bool empty() const noexcept { return reasons_.empty(); }
  [[nodiscard]] Compatibility with(Verdict verdict) && {
    return Compatibility{verdict, std::move(reasons_)};
  }

 private:
  std::vector<Reason> reasons_;
};

constexpr std::string_view kSameModel = "use layouts of the same model";
constexpr std::string_view kSamePage =
    "use the same page size, or say the number of heads so that tokens are told apart";
constexpr std::string_view kSayHeads =
    "format A tells no heads, so tokens cannot be told apart: use the same order, or say what "
    "you know of the peer (order and number of heads)";

void compare_shape(const LayoutView& left, const LayoutView& right, Differences& differences) {
  differences.expect_equal("num_layers", left.axis(Axis::kLayer).whole,
                           right.axis(Axis::kLayer).whole, kSameModel);
  differences.expect_equal("outer_dim", left.axis(Axis::kOuter).whole,
                           right.axis(Axis::kOuter).whole, kSameModel);
  differences.expect_equal("dtype_width_bytes", left.element_bytes(), right.element_bytes(),
                           "elements are not converted: use the same element type");
}

/// The packing of `view`, or, where it is in both orders at once, the one that `other` has.
std::string packing_beside(const LayoutView& view, const LayoutView& other) {
  const std::optional<LayoutView> packed = view.collapsed();
  if (!packed) {
    return "not one piece";
  }
  const bool both_orders = !view.is_opaque() && (view.axis(Axis::kToken).extent == 1 ||
                                                 view.axis(Axis::kHead).extent == 1);
  return both_orders && other.packing() == to_string(InnerShape::kHnd) ? other.packing()
                                                                       : packed->packing();
}

/// Both as opaque pieces: same packing, page and inner_dim, or nothing.
void compare_opaque(const LayoutView& left, const LayoutView& right, Differences& differences) {
  differences.expect_equal("page_size", left.page_size(), right.page_size(), kSamePage);
  differences.expect_equal("inner_dim", left.inner_dim(), right.inner_dim(), kSameModel);
  const std::string left_packing = packing_beside(left, right);
  const std::string right_packing = packing_beside(right, left);
  if (left_packing != right_packing || !left.collapsed() || !right.collapsed()) {
    differences.add("inner_shape", left_packing, right_packing, kSayHeads);
  }
}

bool token_outside_head(const LayoutView& view) {
  const AxisSpan& token = view.axis(Axis::kToken);
  const AxisSpan& head = view.axis(Axis::kHead);
  return std::pair{token.region_step, token.stride_bytes} >
         std::pair{head.region_step, head.stride_bytes};
}

bool same_order(const LayoutView& left, const LayoutView& right) {
  const auto one_only = [](const LayoutView& view) {
    return view.axis(Axis::kToken).extent == 1 || view.axis(Axis::kHead).extent == 1;
  };
  return one_only(left) || one_only(right) || token_outside_head(left) == token_outside_head(right);
}

bool same_strides(const LayoutView& left, const LayoutView& right) {
  for (std::size_t i = 0; i < kAxisCount; ++i) {
    const Axis axis = static_cast<Axis>(i);
    AxisSpan span = left.axis(axis);
    if (span.extent == 1) {  // Where there is no step, its length says nothing.
      span.stride_bytes = right.axis(axis).stride_bytes;
      span.region_step = right.axis(axis).region_step;
    }
    if (!(span == right.axis(axis))) {
      return false;
    }
  }
  return left.packing() == right.packing();
}

}  // namespace

std::string_view to_string(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::kIdentical: return "identical";
    case Verdict::kCopyable: return "copyable";
    case Verdict::kNeedsReordering: return "needs reordering";
    case Verdict::kImpossible: return "impossible";
  }
  return "invalid";
}

std::string Compatibility::summary() const {
  std::string text{to_string(verdict)};
  if (!reasons.empty()) {
    const Reason& first = reasons.front();
    text = first.field + " " + first.left + " against " + first.right + ": " + first.advice;
  }
  return assumed.empty() ? text : text + " (assumed " + assumed + ")";
}

Compatibility compatible(const LayoutView& left, const LayoutView& right) {
  Differences differences;
  compare_shape(left, right, differences);
  const bool opaque = left.is_opaque() || right.is_opaque();
  if (opaque) {
    compare_opaque(left, right, differences);
  } else {
    differences.expect_equal("num_heads", left.axis(Axis::kHead).whole,
                             right.axis(Axis::kHead).whole, kSameModel);
    differences.expect_equal("head size", left.axis(Axis::kElement).extent,
                             right.axis(Axis::kElement).extent, kSameModel);
  }
  if (!differences.empty()) {
    return std::move(differences).with(Verdict::kImpossible);
  }
  if (same_strides(left, right)) {
    return {Verdict::kIdentical, {}};
  }
  if (opaque || same_order(left, right)) {
    return {Verdict::kCopyable, {}};
  }
  const auto order = [](const LayoutView& view) {
    return std::string{to_string(token_outside_head(view) ? InnerShape::kNhd : InnerShape::kHnd)};
  };
  differences.add("inner_shape", order(left), order(right),
                  "none needed: tokens and heads change places while they are copied");
  return std::move(differences).with(Verdict::kNeedsReordering);
}

}  // namespace kvferry::layout
