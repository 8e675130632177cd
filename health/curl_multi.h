#pragma once

#include <curl/curl.h>

#include <functional>
#include <memory>
#include <unordered_map>

#include "health/probe_loop.h"

namespace weir {

/// libcurl's multi-socket interface on a ProbeLoop: curl says which descriptors to watch and when to wake it.
class CurlMulti {
 public:
  explicit CurlMulti(ProbeLoop& loop);
  ~CurlMulti();  ///< every transfer has been removed before
  CurlMulti(const CurlMulti&) = delete;
  CurlMulti& operator=(const CurlMulti&) = delete;

  /// Begins a transfer. `done` is called once, from the loop, unless the transfer is removed before; the
  /// handle is then already out of the multi. Borrows `easy`.
  void add(CURL* easy, std::function<void(CURLcode)> done);
  /// No callback any more; its descriptors are closed. Harmless when it has ended. Not from within a callback
  /// of curl's.
  void remove(CURL* easy);
  /// Lets curl look at a descriptor of its own that is ready.
  void look_at(int fd, int curl_events);

 private:
  /// What is watched for one descriptor number. Kept for the number's next owner: events may still come in
  /// this turn.
  struct Socket final : Watcher {
    CurlMulti* multi = nullptr;
    int fd = -1;
    bool watched = false;
    void on_events(std::uint32_t events) override;
  };

  static int on_socket(CURL*, curl_socket_t fd, int what, void* self, void*);
  static int on_timer(CURLM*, long millis, void* self);
  void watch(int fd, int what);
  void take_finished();

  ProbeLoop& loop_;
  CURLM* multi_;
  Alarm alarm_;
  std::unordered_map<int, std::unique_ptr<Socket>> sockets_;
  std::unordered_map<CURL*, std::function<void(CURLcode)>> transfers_;
};

}  // namespace weir
