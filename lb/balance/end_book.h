#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <utility>

#include "lb/base/state.h"
#include "lb/observe/histogram.h"

namespace weir {

/// How sessions have ended, a page for each of a few owners: of a backend's sessions for each listener they
/// came by, of a listener's sessions that no backend had for each pool. One thread writes, anyone reads; a
/// page stays as long as its book.
class EndBook {
 public:
  struct Page {
    Page(const void* whose, std::string own_name) : owner(whose), name(std::move(own_name)) {}
    ~Page() { delete queue_waits.load(); }
    Page(const Page&) = delete;
    Page& operator=(const Page&) = delete;

    void count(End how) { add(by_end[static_cast<std::size_t>(how)], 1); }
    void record_queue_wait(std::chrono::microseconds waited) {
      TimeHistogram* times = queue_waits.load(std::memory_order_relaxed);
      if (times == nullptr) queue_waits.store(times = new TimeHistogram, std::memory_order_release);
      times->record(waited);
    }
    static void add(std::atomic<std::uint64_t>& to, std::uint64_t n) {
      to.store(to.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    }

    const void* const owner;
    const std::string name;  ///< the owner's
    std::array<std::atomic<std::uint64_t>, kEnds> by_end{};
    std::atomic<std::uint64_t> retries{0};  ///< attempts beyond the first
    std::atomic<TimeHistogram*> queue_waits{
        nullptr};          ///< of those who have waited for a place; made at the first
    Page* next = nullptr;  ///< that was made before
  };

  EndBook() = default;
  ~EndBook() {
    for (const Page* page = first_.load(); page != nullptr;) delete std::exchange(page, page->next);
  }
  EndBook(const EndBook&) = delete;
  EndBook& operator=(const EndBook&) = delete;

  /// The owner's page; the writing thread. `owner`: any one thing that is never another's while the book
  /// lives.
  Page& page(const void* owner, const std::string& name) {
    for (Page* page = first_.load(std::memory_order_relaxed); page != nullptr; page = page->next)
      if (page->owner == owner) return *page;
    return make(owner, name);
  }
  /// The page of that name, of a book that has no owners; the writing thread.
  Page& page(const std::string& name) {
    for (Page* page = first_.load(std::memory_order_relaxed); page != nullptr; page = page->next)
      if (page->name == name) return *page;
    return make(nullptr, name);
  }
  template <class Look>
  void for_each(Look look) const {
    for (const Page* page = first_.load(std::memory_order_acquire); page != nullptr; page = page->next)
      look(*page);
  }

 private:
  Page& make(const void* owner, const std::string& name) {
    auto* const fresh = new Page(owner, name);
    fresh->next = first_.load(std::memory_order_relaxed);
    first_.store(fresh, std::memory_order_release);
    return *fresh;
  }

  std::atomic<Page*> first_{nullptr};
};

}  // namespace weir
