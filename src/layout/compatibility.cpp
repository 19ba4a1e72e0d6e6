// SPDX-License-Identifier: Apache-2.0
#include "kvferry/layout/compatibility.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <tuple>
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

std::string quoted(std::string_view text) { return "\"" + std::string{text} + "\""; }

/// Two words of which each says what is meant, or nothing.
bool differ(std::string_view left, std::string_view right) {
  return !left.empty() && !right.empty() && left != right;
}

/// What a layout may tell of its blocks, and why they stay where two tell different things.
struct Telling {
  std::string_view field;
  std::string_view Compared::*text;
  std::string_view advice;
};

constexpr std::array kTellings{
    Telling{"model", &Compared::model,
            "the cache of one model is nothing to another one: use layouts of the same model"},
    Telling{"group", &Compared::group,
            "blocks of two groups are not the same blocks: take the layout of the same group"}};

/// Makes a verdict on the data one on a plane too: the worse one, with its reasons.
void take_worse(const std::string& plane, Compatibility of_plane, Compatibility& verdict) {
  if (of_plane.verdict < verdict.verdict) {
    return;
  }
  if (of_plane.verdict > verdict.verdict) {
    verdict = {of_plane.verdict, {}};
  }
  for (Reason& reason : of_plane.reasons) {
    reason.field = "plane " + quoted(plane) + ": " + reason.field;
    verdict.reasons.push_back(std::move(reason));
  }
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

std::optional<Reason> differing_meaning(const Compared& left, const Compared& right) {
  for (const Telling& telling : kTellings) {
    if (differ(left.*telling.text, right.*telling.text)) {
      return Reason{std::string{telling.field}, quoted(left.*telling.text),
                    quoted(right.*telling.text), std::string{telling.advice}};
    }
  }
  for (const auto& [one, other, is_left] :
       {std::tuple{&left, &right, true}, std::tuple{&right, &left, false}}) {
    for (const Plane& plane : one->planes) {
      if (find_plane(other->planes, plane.name) == nullptr) {
        const std::string here = quoted(plane.name);
        return Reason{"plane", is_left ? here : "no " + here, is_left ? "no " + here : here,
                      "blocks are whole only with all planes: register them on both sides"};
      }
    }
  }
  return std::nullopt;
}

std::optional<SourceReason> differing_source(std::span<const Compared> sources) {
  for (const Telling& telling : kTellings) {
    const std::string_view Compared::*const text = telling.text;
    const auto first = std::ranges::find_if(
        sources, [&](const Compared& source) { return !(source.*text).empty(); });
    const auto other = std::find_if(first, sources.end(), [&](const Compared& source) {
      return differ(source.*text, (*first).*text);
    });
    if (other != sources.end()) {
      const std::string whose = " of source " + std::to_string(first - sources.begin());
      return SourceReason{static_cast<std::size_t>(other - sources.begin()),
                          {std::string{telling.field}, quoted((*other).*text),
                           quoted((*first).*text) + whose, std::string{telling.advice}}};
    }
  }
  return std::nullopt;
}

Compatibility compatible(const Compared& left, const Compared& right) {
  Compatibility verdict = compatible(left.view, right.view);
  for (const Plane& plane : right.planes) {
    if (const Plane* const same = find_plane(left.planes, plane.name)) {
      take_worse(plane.name, compatible(same->view, plane.view), verdict);
    }
  }
  if (auto reason = differing_meaning(left, right)) {
    verdict.verdict = Verdict::kImpossible;
    verdict.reasons.insert(verdict.reasons.begin(), *std::move(reason));
  }
  return verdict;
}

}  // namespace kvferry::layout
