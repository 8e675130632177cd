#include "bench/load/preface.h"

#include <catch2/catch.hpp>

using namespace weir;
using namespace weir::load;

TEST_CASE("a server hears what is behind a preface, wherever it is cut") {
  const Preface preface = GENERATE(Preface::None, Preface::Proxy, Preface::Hello);
  const std::string bytes = preface_bytes(preface);
  const std::string all = bytes + "request";
  for (std::size_t cut = 0; cut <= all.size(); ++cut) {
    PrefaceReader reader(preface);
    std::string heard(reader.behind(std::string_view(all).substr(0, cut)));
    heard += reader.behind(std::string_view(all).substr(cut));
    heard += reader.behind(" and more");
    REQUIRE(heard == "request and more");
  }
}

TEST_CASE("a server reads over a header of version 1, and over one with more in it") {
  PrefaceReader first(Preface::Proxy), second(Preface::Proxy);
  CHECK(first.behind("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nrequest") == "request");
  CHECK(second.behind(std::string("\r\n\r\n\0\r\nQUIT\n\x20\0\0\x03xyz", 19) + "request") == "request");
}
