#include "lb/control/live.h"

#include <fmt/format.h>

namespace weir {

class Live::Reader final : public HttpStream {
 public:
  explicit Reader(Live& live) : live_(live) { live_.readers_.push_back(this); }
  ~Reader() override { std::erase(live_.readers_, this); }

  std::optional<std::string> next() override {
    if (live_.seen_ == nullptr || live_.number_ == read_) return "";
    read_ = live_.number_;
    return *live_.seen_;
  }
  void is_new() const { wake(); }

 private:
  Live& live_;
  std::uint64_t read_ = 0;
};

Live::Live(Loop& loop, Look look) : look_(std::move(look)), timer_(loop, [this] { this->look(); }) {}

Live::~Live() = default;

std::shared_ptr<HttpStream> Live::reader() {
  auto out = std::make_shared<Reader>(*this);
  if (!timer_.active() && !looking_) {
    // What was seen before the last reader left is old.
    seen_ = nullptr;
    timer_.start(Millis(0));
  }
  return out;
}

void Live::look() {
  if (readers_.empty() || looking_) return;
  looking_ = true;
  timer_.start(kEvery);
  look_([this](std::string json) {
    looking_ = false;
    while (json.ends_with('\n')) json.pop_back();
    seen_ = std::make_shared<const std::string>(
        fmt::format("id: {}\nevent: status\ndata: {}\n\n", ++number_, json));
    for (const Reader* const reader : readers_) reader->is_new();
    if (!timer_.active()) timer_.start(kEvery);
  });
}

}  // namespace weir
