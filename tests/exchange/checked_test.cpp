// SPDX-License-Identifier: Apache-2.0
// Goal: nothing comes through that the check does not pass, or that it could not look at.
// Method: a real directory behind it, and checks that pass, refuse, and write down what they saw.
#include "kvferry/exchange/checked.hpp"

#include <gtest/gtest.h>

#include <chrono>

#include "kvferry/exchange/directory.hpp"
#include "kvferry/testing/matchers.hpp"
#include "kvferry/testing/temporary_directory.hpp"

namespace kvferry::exchange {
namespace {

using kvferry::testing::FailsWith;
using kvferry::testing::IsOk;

TimePoint soon() { return SteadyClock{}.now() + std::chrono::seconds{30}; }

class CheckedExchangeOf : public ::testing::Test {
 protected:
  void SetUp() override {
    open([this](const FetchedWorker& worker) -> Result<void> {
      seen_.push_back(worker.found.record.name);
      seen_formats_ = worker.formats;
      return answer_;
    });
  }

  void open(FetchCheck check) {
    auto inner = DirectoryExchange::create(directory_.path());
    ASSERT_THAT(inner, IsOk());
    exchange_ = std::make_unique<CheckedExchange>(*std::move(inner),
                                                  std::vector<std::string>{"kvfy"}, check);
  }

  void publish(const std::string& name, const Formats& formats) {
    Publication publication;
    publication.record.name = name;
    publication.record.epoch = {1, 1};
    publication.formats = formats;
    ASSERT_THAT(exchange_->publish(publication, soon()), IsOk());
  }

  kvferry::testing::TemporaryDirectory directory_;
  std::unique_ptr<CheckedExchange> exchange_;
  std::vector<std::string> seen_;
  Formats seen_formats_;
  Result<void> answer_;
};

const std::vector<std::byte> kSigned{std::byte{1}};
const std::vector<std::byte> kOther{std::byte{2}};

TEST_F(CheckedExchangeOf, HandsOnWhatPasses) {
  publish("prefill", {{"kvfy", kSigned}});
  const auto fetched = exchange_->fetch("prefill", soon());
  ASSERT_THAT(fetched, IsOk());
  EXPECT_EQ(fetched->formats, (Formats{{"kvfy", kSigned}}));
  EXPECT_EQ(seen_, std::vector<std::string>{"prefill"});
}

TEST_F(CheckedExchangeOf, HandsOnNoFormatThatTheCheckDoesNotSee) {
  publish("prefill", {{"a", kOther}, {"b", kOther}, {"kvfy", kSigned}});
  const auto fetched = exchange_->fetch("prefill", soon());
  ASSERT_THAT(fetched, IsOk());
  EXPECT_EQ(fetched->formats, (Formats{{"kvfy", kSigned}}));
  EXPECT_EQ(fetched->found.formats, std::vector<std::string>{"kvfy"});
  EXPECT_EQ(seen_formats_, fetched->formats);
  const auto listing = exchange_->list(soon());
  ASSERT_THAT(listing, IsOk());
  ASSERT_EQ(listing->workers.size(), 1U);
  EXPECT_EQ(listing->workers.front().formats, std::vector<std::string>{"kvfy"});
}

TEST_F(CheckedExchangeOf, RefusesWhatDoesNotPass) {
  publish("prefill", {{"kvfy", kSigned}});
  answer_ = Error{ErrorCode::kRefused, "signature: no"};
  EXPECT_THAT(exchange_->fetch("prefill", soon()),
              FailsWith(ErrorCode::kRefused, "worker prefill: signature: no"));
}

TEST_F(CheckedExchangeOf, RefusesAWorkerWithNothingToCheck) {
  publish("prefill", {{"a", kOther}});
  EXPECT_THAT(
      exchange_->fetch("prefill", soon()),
      FailsWith(ErrorCode::kRefused, "worker prefill: publishes nothing that can be checked"));
  EXPECT_TRUE(seen_.empty());
}

TEST_F(CheckedExchangeOf, SaysOfAMissingWorkerWhatTheExchangeSays) {
  EXPECT_THAT(exchange_->fetch("nobody", soon()), FailsWith(ErrorCode::kUnavailable, "nobody"));
  EXPECT_TRUE(seen_.empty());
}

TEST_F(CheckedExchangeOf, TellsOfChangesAsTheExchangeDoes) {
  const auto watch = exchange_->watch();
  ASSERT_THAT(watch, IsOk());
  publish("prefill", {{"a", kOther}});
  const auto changes = (*watch)->wait(soon());
  ASSERT_THAT(changes, IsOk());
  EXPECT_EQ(changes->names, std::vector<std::string>{"prefill"});
}

TEST_F(CheckedExchangeOf, WithdrawsAsTheExchangeDoes) {
  publish("prefill", {{"kvfy", kSigned}});
  EXPECT_THAT(exchange_->withdraw("prefill", {1, 1}, soon()), IsOk());
  EXPECT_THAT(exchange_->fetch("prefill", soon()), FailsWith(ErrorCode::kUnavailable, "prefill"));
}

}  // namespace
}  // namespace kvferry::exchange
