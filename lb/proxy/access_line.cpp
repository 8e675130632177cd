// One line of the access log.
#include <fmt/format.h>

#include <iterator>

#include "lb/base/json_escape.h"
#include "lb/base/log.h"
#include "lb/proxy/access_log.h"

namespace weir {
namespace {

/// The fields of one line, behind `out`: "key=value …", or a JSON object; its end when it goes.
class Fields {
 public:
  Fields(std::string& out, LogFormat format) : out_(out), json_(format == LogFormat::Json) {
    if (json_) out_ += '{';
  }
  ~Fields() { out_ += json_ ? "}\n" : "\n"; }
  Fields(const Fields&) = delete;
  Fields& operator=(const Fields&) = delete;

  void nothing(std::string_view name) { key(name) += json_ ? "null" : "-"; }
  /// Any bytes; "" is nothing.
  void text(std::string_view name, std::string_view value) {
    if (value.empty())
      nothing(name);
    else if (json_)
      append_json_string(key(name), value);
    else
      key(name) += quoted(value);
  }
  /// Of plain letters, so that nothing has to be quoted in text.
  void word(std::string_view name, std::string_view value) {
    if (json_)
      append_json_string(key(name), value);
    else
      key(name) += value;
  }
  void number(std::string_view name, std::uint64_t value) {
    fmt::format_to(std::back_inserter(key(name)), "{}", value);
  }
  /// In milliseconds with a tenth; -1 is nothing.
  void millis(std::string_view name, std::int64_t micros) {
    if (micros < 0) return nothing(name);
    fmt::format_to(std::back_inserter(key(name)), "{}.{}", micros / 1000, micros % 1000 / 100);
  }

 private:
  std::string& key(std::string_view name) {
    if (!first_) out_ += json_ ? ',' : ' ';
    first_ = false;
    if (json_) return ((out_ += '"') += name) += "\":";
    return (out_ += name) += '=';
  }

  std::string& out_;
  const bool json_;
  bool first_ = true;
};

void add_facts(Fields& out, const AccessRecord& record) {
  static const Facts kNothing;
  const Facts& facts = record.facts ? *record.facts : kNothing;
  if (facts.peer)
    out.word("peer", facts.peer->to_string());
  else
    out.nothing("peer");
  out.text("sni", facts.sni);
  if (facts.queued)
    out.number("queue_ms", static_cast<std::uint64_t>(facts.queued->count()));
  else
    out.nothing("queue_ms");
  out.millis("first_byte_ms", record.first_byte_us);
  out.text("tried", facts.tried);
  out.text("why", facts.why);
}

}  // namespace

void append_line(std::string& out, std::string_view instance, const AccessRecord& record,
                 AccessLineStyle style) {
  const auto time = std::chrono::system_clock::time_point(std::chrono::milliseconds(record.time_ms));
  const Facts* const facts = record.facts.get();
  const std::string& pool = record.backend                             ? record.backend->pool
                            : facts != nullptr && !facts->pool.empty() ? facts->pool
                                                                       : record.listener->pool;
  Fields line(out, style.format);
  line.word("time", format_time(time));
  line.text("listener", record.listener->name);
  line.word("client", record.client.to_string());
  line.text("pool", is_turned_away(record.end) ? "" : pool);
  line.text("backend", record.backend ? record.backend->name : "");
  line.text("backend_address", record.backend ? record.backend->address : "");
  line.number("attempts", record.attempts);
  line.millis("connect_ms", record.connect_us);
  line.millis("duration_ms", record.duration_us);
  line.number("bytes_to_backend", record.bytes_to_backend);
  line.number("bytes_to_client", record.bytes_to_client);
  line.word("end", to_string(record.end));
  line.word("id", fmt::format("{}-{}-{:x}", instance, record.worker, record.number));
  add_facts(line, record);
  if (style.sample > 1 && is_good(record.end)) line.number("sample", style.sample);
}

void append_line(std::string& out, const TurnedAwayLines::Others& others, AccessLineStyle style) {
  // At the end of that second.
  const auto time = std::chrono::system_clock::time_point(std::chrono::seconds(others.second + 1)) -
                    std::chrono::milliseconds(1);
  Fields line(out, style.format);
  line.word("time", format_time(std::chrono::time_point_cast<std::chrono::milliseconds>(time)));
  line.text("listener", others.listener->name);
  for (const auto* name : {"client", "pool", "backend", "backend_address"}) line.nothing(name);
  line.number("attempts", 0);
  for (const auto* name : {"connect_ms", "duration_ms"}) line.nothing(name);
  line.number("bytes_to_backend", 0);
  line.number("bytes_to_client", 0);
  line.word("end", to_string(others.end));
  for (const auto* name : {"id", "peer", "sni", "queue_ms", "first_byte_ms", "tried"}) line.nothing(name);
  line.text("why", fmt::format("{} more in 1 s", others.count));
}

}  // namespace weir
