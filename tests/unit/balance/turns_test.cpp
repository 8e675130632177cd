#include "lb/balance/turns.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <numeric>
#include <random>

using namespace weir;

namespace {

/// The algorithm as nginx describes it, step by step.
std::vector<std::uint32_t> naive(const std::vector<std::uint32_t>& weights) {
  std::vector<std::uint32_t> sequence;
  std::vector<std::int64_t> current(weights.size());
  const auto sum = std::accumulate(weights.begin(), weights.end(), std::int64_t{0});
  std::uint32_t divisor = 0;
  for (const std::uint32_t weight : weights) divisor = std::gcd(divisor, weight);
  for (std::int64_t turn = 0; turn < sum / divisor; ++turn) {
    for (std::size_t i = 0; i < weights.size(); ++i) current[i] += weights[i];
    const auto richest = std::max_element(current.begin(), current.end());
    *richest -= sum;
    sequence.push_back(static_cast<std::uint32_t>(richest - current.begin()));
  }
  return sequence;
}

using Weights = std::vector<std::uint32_t>;

std::vector<Member> members_of(const Weights& weights) {
  std::vector<Member> members;
  for (std::uint32_t i = 0; i < weights.size(); ++i)
    members.push_back({i, i, "", weights[i], 100, true, false, nullptr});
  return members;
}

std::vector<std::uint64_t> counts_of(const Turns& turns, std::size_t members) {
  std::vector<std::uint64_t> counts(members);
  for (std::uint64_t turn = 0; turn < turns.size(); ++turn) ++counts[turns.member_at(turn)];
  return counts;
}

}  // namespace

TEST_CASE("weights 5/1/1 make the lap a a b a c a a") {
  CHECK(smooth_sequence(Weights{5, 1, 1}) == Weights{0, 0, 1, 0, 2, 0, 0});
}

TEST_CASE("the common divisor of the weights does not lengthen the lap") {
  CHECK(smooth_sequence(Weights{256, 256, 256}) == Weights{0, 1, 2});
  CHECK(smooth_sequence(Weights{50, 10, 10}) == smooth_sequence(Weights{5, 1, 1}));
}

TEST_CASE("the lap is that of the step-by-step algorithm") {
  std::mt19937 random(4711);  // NOLINT: the same cases every time
  for (int round = 0; round < 300; ++round) {
    const std::uint32_t largest = round % 3 == 0 ? 3 : (round % 3 == 1 ? 10 : 256);
    Weights weights(1 + random() % 20);
    for (std::uint32_t& weight : weights) weight = 1 + static_cast<std::uint32_t>(random()) % largest;
    CAPTURE(weights);
    REQUIRE(smooth_sequence(weights) == naive(weights));
  }
}

TEST_CASE("a lap too long to keep is scaled down, and nobody is left out") {
  Weights weights(20'000, 256);
  for (std::size_t i = 0; i < weights.size(); i += 2) weights[i] = 255;
  weights[7] = 1;
  const std::vector<std::uint32_t> lap = smooth_sequence(weights);
  CHECK(lap.size() <= (std::size_t{1} << 22) + weights.size());
  std::vector<std::uint32_t> counts(weights.size());
  for (const std::uint32_t member : lap) ++counts[member];
  CHECK(counts[7] == 1);
  const auto [least, most] = std::minmax_element(counts.begin() + 8, counts.end());
  CHECK(*least > 200);
  CHECK(*most - *least <= 1);
}

TEST_CASE("slow start gives a member exactly its part of its turns, spread over the laps") {
  const auto share = static_cast<std::uint32_t>(GENERATE(1, 10, 37, 50, 99));
  std::vector<Member> members = members_of({3, 2, 1});
  members[1].share_percent = share;
  const Turns turns(members, nullptr);
  CHECK(turns.size() == 400 + 2 * share);
  CHECK(counts_of(turns, 3) == std::vector<std::uint64_t>{300, 2 * share, 100});

  // No two of its turns are closer than half the distance of an even spread.
  std::vector<std::uint64_t> at;
  for (std::uint64_t turn = 0; turn < 2 * turns.size(); ++turn) {
    if (turns.member_at(turn) == 1) at.push_back(turn);
  }
  for (std::size_t i = 1; i < at.size(); ++i)
    CHECK((at[i] - at[i - 1]) * 2 + 2 >= turns.size() / (2 * share));
}

TEST_CASE("shares in slow start are relative to the largest") {
  std::vector<Member> members = members_of({1, 1});
  for (Member& member : members) member.share_percent = 20;
  CHECK(Turns(members, nullptr).size() == 2);
  members[1].share_percent = 5;
  CHECK(counts_of(Turns(members, nullptr), 2) == std::vector<std::uint64_t>{20, 5});
}

TEST_CASE("in a lap too long to repeat, slow start is about right and everyone has a turn") {
  Weights weights(3'000, 256);
  weights[0] = 1;
  weights[1] = 255;
  std::vector<Member> members = members_of(weights);
  members[0].share_percent = 1;
  members[1].share_percent = 10;
  const std::vector<std::uint64_t> counts = counts_of(Turns(members, nullptr), weights.size());
  CHECK(counts[0] == 1);
  CHECK(counts[2] == 256);
  CHECK(counts[1] >= 25);
  CHECK(counts[1] <= 26);
}

TEST_CASE("members that recover together do not take their first turns in the same lap") {
  std::vector<Member> members = members_of(Weights(5, 1));
  for (std::size_t i = 1; i < members.size(); ++i) members[i].share_percent = 10;
  const Turns turns(members, nullptr);
  std::uint64_t longest = 0;
  std::uint64_t in_a_row = 0;
  for (std::uint64_t turn = 0; turn < turns.size(); ++turn) {
    in_a_row = turns.member_at(turn) == 0 ? 0 : in_a_row + 1;
    longest = std::max(longest, in_a_row);
  }
  CHECK(longest < 4);
}

TEST_CASE("the cursor moves only when it is where it was seen") {
  const Turns turns(members_of({1, 1}), nullptr);
  CHECK(turns.take() == 0);
  CHECK_FALSE(turns.move(0, 5));
  CHECK(turns.peek() == 1);
  CHECK(turns.move(1, 5));
  CHECK(turns.take() == 5);
}
