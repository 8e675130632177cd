// What comes over the admin socket: a request's body, and what an older process answers.
#include "lb/control/admin_json.h"
#include "lb/control/merge_answers.h"
#include "lb/control/parameters.h"
#include "tests/fuzz/input.h"

using namespace weir;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::Exact all(data, size);
  const std::string text(text_of(all.bytes()));
  HttpRequest request;
  request.body = text;
  if (auto values = parameters_of(request)) {
    Parameters parameters(std::move(*values));
    parameters.take("name");
    parameters.take_list("ids");
    parameters.take_flag("force");
    if (const auto number = parameters.take_number("weight", 1, 256); number && parameters.fault().empty())
      WEIR_CHECK(*number >= 1 && *number <= 256);
    WEIR_CHECK(parameters.fault().find('\n') == std::string::npos);
  }
  const HttpResponse own{
      200, R"({"sessions":{"active":1,"total":2},"listeners":[{"name":"l","active":1,"total":2}],)"
           R"("pools":[{"name":"p","backends":[{"name":"a","active":1,"total":2}]}],"changed":[],)"
           R"("killed":1,"clients":[{"client":"c","sessions":1}]})"};
  const std::vector<PredecessorAnswer> others{{1, 200, text}};
  const auto merged = [&](auto merge) {
    try {
      static_cast<void>(merge(own, others));
    } catch (const std::exception& error) {
      // A Weir of another version: said in the log, and its answer is left out (Predecessors).
      WEIR_CHECK(std::string_view(error.what()).find("json.exception") != std::string_view::npos);
    }
  };
  merged(merge_status);
  merged(merge_sessions);
  merged(merge_killed);
  merged(merge_drains);
  merged(merge_changes);
  merged(merge_stops);
  merged([](const auto& one, const auto& rest) { return merge_clients(one, rest, "3"); });
  return 0;
}
