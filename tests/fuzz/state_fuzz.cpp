// What one Weir writes for another: the state file, and what is handed over at an upgrade.
#include "lb/control/counts.h"
#include "lb/control/event_json.h"
#include "lb/control/legacy.h"
#include "lb/control/state_file.h"
#include "tests/fuzz/input.h"

using namespace weir;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::Exact all(data, size);
  const std::string_view text = text_of(all.bytes());
  if (const auto state = parse_state(text)) {
    // What is understood, and what is not, is there again after it has been written.
    const std::string written = format_state(state->overrides, state->unknown);
    const auto again = parse_state(written);
    WEIR_CHECK(again.has_value());
    WEIR_CHECK(again->overrides == state->overrides);
    WEIR_CHECK(format_state(again->overrides, again->unknown) == written);
  }
  const std::chrono::steady_clock::time_point now{std::chrono::hours(1)};
  if (const auto legacy = parse_legacy(text, now)) {
    const std::string written = format_legacy(*legacy, now);
    const auto again = parse_legacy(written, now);
    WEIR_CHECK(again.has_value() && format_legacy(*again, now) == written);
  }
  if (const auto counts = parse_counts(text)) {
    const auto again = parse_counts(format_counts(*counts));
    WEIR_CHECK(again.has_value() && *again == *counts);
  }
  const std::string events = to_json(parse_events(text));
  WEIR_CHECK(to_json(parse_events(events)) == events);
  return 0;
}
