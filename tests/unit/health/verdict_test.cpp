#include "health/verdict.h"

#include <catch2/catch.hpp>
#include <string_view>

using namespace weir;

namespace {

/// Adds one result for each letter (S passed, F failed) and answers how often health changed.
int add_all(Verdict& verdict, std::string_view results) {
  int changes = 0;
  for (const char result : results)
    if (verdict.add(result == 'S')) ++changes;
  return changes;
}

Verdict up_verdict() {
  return Verdict(2, 3, Health::Up);
}

}  // namespace

TEST_CASE("the first probe alone decides about a new backend") {
  Verdict passed(5, 5);
  CHECK(passed.health() == Health::Unknown);
  CHECK(passed.add(true));
  CHECK(passed.health() == Health::Up);
  Verdict failed(5, 5);
  CHECK(failed.add(false));
  CHECK(failed.health() == Health::Down);
}

TEST_CASE("failures that are not consecutive never take a backend down") {
  Verdict verdict = up_verdict();
  CHECK(add_all(verdict, "FFSFFSFF") == 0);
  CHECK(verdict.health() == Health::Up);
  CHECK(verdict.against() == 2);
}

TEST_CASE("three failures in a row take a backend down, two passes in a row bring it up") {
  Verdict verdict = up_verdict();
  CHECK(add_all(verdict, "FF") == 0);
  CHECK(verdict.against() == 2);
  CHECK(verdict.needed() == 3);
  CHECK(add_all(verdict, "F") == 1);
  CHECK(verdict.health() == Health::Down);
  CHECK(verdict.against() == 0);
  CHECK(add_all(verdict, "SFSF") == 0);
  CHECK(verdict.health() == Health::Down);
  CHECK(verdict.needed() == 2);
  CHECK(add_all(verdict, "SS") == 1);
  CHECK(verdict.health() == Health::Up);
}

TEST_CASE("rise and fall of one turn at every opposite result") {
  Verdict verdict(1, 1, Health::Up);
  CHECK(add_all(verdict, "FSFSS") == 4);
}

TEST_CASE("a verdict goes on with a count that somebody else began") {
  Verdict verdict(2, 3, Health::Up, 2);
  CHECK(verdict.against() == 2);
  CHECK(add_all(verdict, "F") == 1);
  Verdict cleared(2, 3, Health::Up, 2);
  CHECK(add_all(cleared, "SFF") == 0);
  CHECK(Verdict(2, 3, Health::Unknown, 2).against() == 0);
}
