#include "lb/control/tally_json.h"

#include <nlohmann/json.hpp>

namespace weir {
namespace {

using Json = nlohmann::ordered_json;

/// [sum, bucket, count, bucket, count, …] of the buckets that have counted something.
template <class Counts>
void put(Json& to, const char* key, const Counts& counts) {
  if (counts == Counts()) return;
  Json out = Json::array({counts.sum});
  for (std::size_t i = 0; i < counts.counts.size(); ++i)
    if (counts.counts[i] > 0) {
      out.push_back(i);
      out.push_back(counts.counts[i]);
    }
  to[key] = std::move(out);
}

void put(Json& to, const char* key, std::uint64_t count) {
  if (count > 0) to[key] = count;
}

std::uint64_t number_from(const Json& from) {
  return from.is_number_unsigned() ? from.get<std::uint64_t>() : 0;
}

void take(const Json& from, const char* key, std::uint64_t& to) {
  if (const auto found = from.find(key); found != from.end()) to = number_from(*found);
}

template <class Counts>
void take(const Json& from, const char* key, Counts& to) {
  const auto found = from.find(key);
  if (found == from.end() || !found->is_array() || found->empty()) return;
  to.sum = number_from((*found)[0]);
  for (std::size_t i = 1; i + 1 < found->size(); i += 2)
    if (const std::uint64_t bucket = number_from((*found)[i]); bucket < to.counts.size())
      to.counts[bucket] = number_from((*found)[i + 1]);
}

void put_ends(Json& to, const std::array<std::uint64_t, kEnds>& by_end) {
  for (std::size_t end = 0; end < kEnds; ++end)
    if (by_end[end] > 0) to[std::string(to_string(static_cast<End>(end)))] = by_end[end];
}

void take_ends(const Json& from, std::array<std::uint64_t, kEnds>& by_end) {
  for (std::size_t end = 0; end < kEnds; ++end)
    take(from, std::string(to_string(static_cast<End>(end))).c_str(), by_end[end]);
}

Json json_of(const EndCounts& counts) {
  Json out = Json::object();
  for (const auto& [name, page] : counts) {
    Json one = Json::object();
    put_ends(one, page.by_end);
    put(one, "retries", page.retries);
    put(one, "queue_waits", page.queue_waits);
    out[name] = std::move(one);
  }
  return out;
}

EndCounts ends_from(const Json& json, const char* key) {
  EndCounts out;
  const auto found = json.find(key);
  if (found == json.end() || !found->is_object()) return out;
  for (const auto& [name, one] : found->items()) {
    if (!one.is_object()) continue;
    PageCounts& page = out[name];
    take_ends(one, page.by_end);
    take(one, "retries", page.retries);
    take(one, "queue_waits", page.queue_waits);
  }
  return out;
}

}  // namespace

Json json_of(const Tally& tally) {
  Json out = Json::object();
  if (!tally.ends.empty()) out["ends"] = json_of(tally.ends);
  put(out, "connects", tally.connects);
  put(out, "first_bytes", tally.first_bytes);
  put(out, "probes", tally.probes);
  put(out, "probes_passed", tally.probes_passed);
  put(out, "probes_failed", tally.probes_failed);
  put(out, "spans", tally.spans);
  put(out, "sizes", tally.sizes);
  return out;
}

Json json_of(const ListenerTally& tally) {
  Json out = Json::object();
  put_ends(out, tally.turned_away);
  if (!tally.unserved.empty()) out["unserved"] = json_of(tally.unserved);
  return out;
}

Tally tally_from(const Json& json) {
  Tally out;
  if (!json.is_object()) return out;
  out.ends = ends_from(json, "ends");
  take(json, "connects", out.connects);
  take(json, "first_bytes", out.first_bytes);
  take(json, "probes", out.probes);
  take(json, "probes_passed", out.probes_passed);
  take(json, "probes_failed", out.probes_failed);
  take(json, "spans", out.spans);
  take(json, "sizes", out.sizes);
  return out;
}

ListenerTally listener_tally_from(const Json& json) {
  ListenerTally out;
  if (!json.is_object()) return out;
  take_ends(json, out.turned_away);
  out.unserved = ends_from(json, "unserved");
  return out;
}

}  // namespace weir
