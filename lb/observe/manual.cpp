#include "lb/observe/manual.h"

#include <fmt/format.h>

#include "lb/base/roff.h"
#include "lb/observe/metric_list.h"

namespace weir {
namespace {

constexpr std::string_view kAbout =
    "With [web] in its configuration (weir.toml(5)) Weir answers GET /metrics: in Prometheus's text format, "
    "or "
    "in OpenMetrics 1.0 for who asks for it; compressed for who takes gzip; of one pool alone with "
    "?pool=NAME.";
constexpr std::string_view kCounters =
    "Counters never go back while Weir runs: reloads leave them alone, and after an upgrade the new process "
    "goes on where the old one was and asks it, at each scrape, what it has counted since for the sessions "
    "that it has kept. A backend that has left its pool keeps its series for an hour after its last session; "
    "then its counts are those of its pool's backend \"-\".";
constexpr std::string_view kSeries =
    "A backend has at most 16 series beside those of its histograms, as long as its sessions come by one "
    "listener and end in no more than five ways: weir_sessions_total has a series for each listener and way "
    "that there has been. A histogram that has counted nothing has the bucket +Inf alone; times have buckets "
    "from 0.05 ms to 104.9 s, each twice the one before; how long sessions last from 1 ms to 18.6 h, and "
    "their bytes from 64 B to 64 GiB, each four times the one before.";

std::string_view word_of(MetricKind kind) {
  constexpr std::string_view kWords[] = {"counter", "gauge", "histogram", "info"};
  return kWords[static_cast<std::size_t>(kind)];
}

}  // namespace

std::string metrics_manual(std::string_view version, std::string_view date) {
  std::string out = fmt::format(
      ".TH WEIR\\-METRICS 7 \"{}\" \"weir {}\" \"Miscellaneous Information\"\n.SH NAME\nweir\\-metrics \\- "
      "what the "
      "load balancer weir tells Prometheus\n.SH DESCRIPTION\n",
      date, version);
  out +=
      roff_prose(kAbout) + ".PP\n" + roff_prose(kCounters) + ".PP\n" + roff_prose(kSeries) + ".SH METRICS\n";
  for (const MetricFamily* family : metrics::all()) {
    out += fmt::format(".TP\n\\fB{}\\fR (\\fI{}\\fR)\n{}", roff_word(family->name), word_of(family->kind),
                       roff_prose(fmt::format("{}.", family->help)));
    if (!family->labels.empty()) out += roff_prose(fmt::format("Labels: {}.", family->labels));
  }
  return out + ".SH SEE ALSO\n.BR weir (8),\n.BR weir.toml (5),\n.BR promtool (1)\n";
}

}  // namespace weir
