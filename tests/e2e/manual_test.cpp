#include <catch2/catch.hpp>

#include "tests/support/skip.h"
#include "tests/support/weir_daemon.h"

using namespace weir::test;

namespace {

std::string page(const std::string& name) {
  const Finished done = run_program({weir_binary(), "man", name});
  CHECK(done.status == 0);
  return done.out;
}

}  // namespace

TEST_CASE("neither mandoc nor groff finds anything wrong with the manual") {
  const auto name = GENERATE("weir", "weir.toml", "weir-metrics");
  CAPTURE(name);
  const TempDir dir;
  write_file(dir.file("page"), page(name));
  if (!missing({"mandoc"})) {
    const Finished lint = run_program({"mandoc", "-Tlint", "-Wstyle", dir.file("page")});
    CHECK(lint.out == "");
    CHECK(lint.status == 0);
  }
  if (!missing({"groff"})) {
    const Finished warnings = run_program({"groff", "-man", "-ww", "-Tutf8", "-z", dir.file("page")});
    CHECK(warnings.err == "");
    CHECK(warnings.status == 0);
  }
}

TEST_CASE("both pages have what a reader looks for, and name each other") {
  const std::string commands = page("weir");
  const std::string file = page("weir.toml");
  for (const std::string& text : {commands, file})
    for (const auto* section :
         {"NAME", "DESCRIPTION", "FILES", "SIGNALS", "EXIT STATUS", "EXAMPLES", "SEE ALSO"})
      CHECK(text.find(std::string(".SH ") + section + "\n") != std::string::npos);
  CHECK(commands.find(".BR weir.toml (5),") != std::string::npos);
  CHECK(file.find(".BR weir (8)") != std::string::npos);
}

TEST_CASE("an example of weir.toml(5) is a file that Weir takes") {
  std::string text = page("weir.toml");
  text = text.substr(text.find(".SH EXAMPLES"));
  for (const auto& [from, to] :
       std::vector<std::pair<std::string, std::string>>{{"\\(dq", "\""}, {"\\-", "-"}})
    for (auto at = text.find(from); at != text.npos; at = text.find(from)) text.replace(at, from.size(), to);
  int examples = 0;
  for (auto at = text.find(".nf\n"); at != text.npos; at = text.find(".nf\n", at + 1)) {
    std::string example = text.substr(at + 4, text.find(".fi\n", at) - at - 4);
    // Its directory need not be here.
    if (const auto run = example.find("/run/weir/"); run != example.npos) example.replace(run, 10, "/tmp/");
    const Finished check = run_weir({"check", "-c", "{}"}, example);
    INFO(example << check.err);
    CHECK(check.status == 0);
    ++examples;
  }
  CHECK(examples == 2);
}
