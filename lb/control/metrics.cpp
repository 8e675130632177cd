#include "lb/control/metrics.h"

#include <algorithm>

#include "lb/control/admin_state.h"
#include "lb/observe/gzip.h"

namespace weir {

Metrics::Metrics(Loop& loop, Registry& registry, Predecessors& predecessors,
                 std::function<MetricsFacts()> facts)
    : registry_(registry), elders_(predecessors, registry), facts_(std::move(facts)), background_(loop) {}

void Metrics::handle(const HttpRequest& request, const HttpServer::Answer& answer) {
  if (under_way_ >= kAtOnce)
    return answer_error(answer, {CommandError::Kind::Busy, "too many scrapes at once, ask again"});
  ++under_way_;
  elders_.ask([this, request, answer](const Counts& elders) {
    const auto pool = request.query.find("pool");
    auto view =
        registry_.metrics_view(pool != request.query.end() ? std::string_view(pool->second) : "", elders);
    if (view) return expose_apart(std::move(*view), request, answer);
    --under_way_;
    answer_error(answer, view.error());
  });
}

void Metrics::expose_apart(MetricsView view, const HttpRequest& request, const HttpServer::Answer& answer) {
  const auto format = Exposition::format_wanted(request.header("accept"));
  const bool small = takes_gzip(request.header("accept-encoding"));
  background_.run([this, answer, format, small, view = std::move(view), facts = facts_()] {
    std::string text = expose(view, facts, format);
    if (small) text = gzip(text);
    return [this, answer, format, small, text = std::move(text)]() mutable {
      --under_way_;
      HttpResponse response{200, std::move(text), std::string(Exposition::content_type(format))};
      if (small) response.headers.emplace_back("Content-Encoding", "gzip");
      response.headers.emplace_back("Vary", "Accept, Accept-Encoding");
      answer(std::move(response));
    };
  });
}

bool takes_gzip(std::string_view accepted) {
  const auto at = accepted.find("gzip");
  if (at == std::string_view::npos) return false;
  std::string rest(accepted.substr(at + 4, accepted.substr(at + 4).find(',')));
  std::erase(rest, ' ');
  return rest != ";q=0" && !rest.starts_with(";q=0.0");
}

}  // namespace weir
