#include "bench/load/responder.h"

#include <fmt/format.h>

#include <algorithm>

#include "bench/load/http.h"

namespace weir::load {

namespace {

class Echo final : public Responder {
 public:
  explicit Echo(const ServeOptions& options) : options_(options) {}

  Answer greet() override { return {options_.greeting, false}; }
  Answer answer(std::string_view received) override {
    total_ += received.size();
    return {received, options_.close_after && total_ >= *options_.close_after};
  }

 private:
  const ServeOptions& options_;
  std::uint64_t total_ = 0;
};

class Sink final : public Responder {
 public:
  Sink(const ServeOptions& options, const Pattern& pattern, ServeTotals& totals)
      : options_(options), pattern_(pattern), totals_(totals) {}

  Answer answer(std::string_view received) override {
    if (options_.verify && !wrong_ && pattern_.at(total_, received.size()) != received) {
      wrong_ = true;
      ++totals_.wrong_streams;
    }
    total_ += received.size();
    return {{}, options_.close_after && total_ >= *options_.close_after};
  }

 private:
  const ServeOptions& options_;
  const Pattern& pattern_;
  ServeTotals& totals_;
  std::uint64_t total_ = 0;
  bool wrong_ = false;
};

/// So many bytes for each request of so many bytes.
class FixedAnswer final : public Responder {
 public:
  FixedAnswer(const ServeOptions& options, const Pattern& pattern, ServeTotals& totals)
      : options_(options), pattern_(pattern), totals_(totals) {}

  Answer answer(std::string_view received) override {
    total_ += received.size();
    const std::uint64_t due = total_ / options_.request_bytes - answered_;
    answered_ += due;
    totals_.requests += due;
    const bool close = options_.close_after && total_ >= *options_.close_after;
    if (due == 1) return {pattern_.at(0, options_.answer_bytes), close};
    several_.clear();
    for (std::uint64_t i = 0; i < due; ++i) several_ += pattern_.at(0, options_.answer_bytes);
    return {several_, close};
  }

 private:
  const ServeOptions& options_;
  const Pattern& pattern_;
  ServeTotals& totals_;
  std::uint64_t total_ = 0;
  std::uint64_t answered_ = 0;
  std::string several_;
};

class Http final : public Responder {
 public:
  Http(std::string_view name, ServeTotals& totals) : name_(name), totals_(totals) {}

  Answer answer(std::string_view received) override {
    answers_.clear();
    // Nearly always a whole request comes at once, and nothing is kept.
    std::string joined;
    if (!partial_.empty()) {
      joined = std::exchange(partial_, {}).append(received);
      received = joined;
    }
    bool close = false;
    while (!received.empty() && !close) {
      const std::uint64_t skipped = std::min<std::uint64_t>(body_left_, received.size());
      body_left_ -= skipped;
      received.remove_prefix(skipped);
      const auto head = parse_request_head(received);
      if (!head) break;
      received.remove_prefix(head->size);
      body_left_ = head->content_length;
      // A chunked body would have to be parsed to find its end.
      close = !head->keep_alive || head->chunked;
      append_answer(*head, close);
    }
    if (!close) partial_ = received;
    if (partial_.size() > kMaxHead) {
      answers_ +=
          "HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
      close = true;
    }
    return {answers_, close};
  }

 private:
  static constexpr std::size_t kMaxHead = 64 * 1024;

  void append_answer(const RequestHead& head, bool close) {
    ++totals_.requests;
    fmt::format_to(std::back_inserter(answers_),
                   "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n{}\r\n",
                   name_.size() + 1, close ? "Connection: close\r\n" : "Connection: keep-alive\r\n");
    if (!head.is_head) answers_.append(name_).push_back('\n');
  }

  std::string_view name_;
  ServeTotals& totals_;
  std::string partial_;
  std::string answers_;
  std::uint64_t body_left_ = 0;
};

/// Another one, which hears nothing of a preface.
class Behind final : public Responder {
 public:
  Behind(Preface preface, std::unique_ptr<Responder> other) : preface_(preface), other_(std::move(other)) {}

  Answer greet() override { return other_->greet(); }
  Answer answer(std::string_view received) override {
    const std::string_view rest = preface_.behind(received);
    return rest.empty() ? Answer() : other_->answer(rest);
  }

 private:
  PrefaceReader preface_;
  std::unique_ptr<Responder> other_;
};

std::unique_ptr<Responder> make_plain_responder(const ServeOptions& options, std::string_view name,
                                                const Pattern& pattern, ServeTotals& totals) {
  switch (options.mode) {
    case ServeMode::Sink:
      return std::make_unique<Sink>(options, pattern, totals);
    case ServeMode::Http:
      return std::make_unique<Http>(name, totals);
    case ServeMode::Answer:
      return std::make_unique<FixedAnswer>(options, pattern, totals);
    case ServeMode::Echo:
    case ServeMode::Letter:
    case ServeMode::Source:
      break;
  }
  return std::make_unique<Echo>(options);
}

}  // namespace

std::unique_ptr<Responder> make_responder(const ServeOptions& options, std::string_view name,
                                          const Pattern& pattern, ServeTotals& totals) {
  auto plain = make_plain_responder(options, name, pattern, totals);
  if (options.preface == Preface::None) return plain;
  return std::make_unique<Behind>(options.preface, std::move(plain));
}

}  // namespace weir::load
