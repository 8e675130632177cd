#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bench/load/clock.h"
#include "bench/load/exchange.h"
#include "bench/load/preface.h"
#include "bench/load/schedule.h"
#include "bench/load/socket.h"

namespace weir::load {

struct OutputOptions {
  bool json = false;   ///< JSON on stdout, the table on stderr
  bool quiet = false;  ///< no table beside the JSON, no progress
  bool allow_errors = false;
};

/// What all client modes take.
struct ClientOptions {
  Address target;
  DialOptions dial;
  Nanos timeout = 5 * kSecond;  ///< for a connect, an answer, and for the run's end to be reached
  ScheduleOptions schedule;
  OutputOptions output;
};

struct ChurnOptions {
  unsigned concurrency = 64;
  Exchange::Shape shape;  ///< until_end: the other side closes first
  Preface preface = Preface::None;
};

struct GetOptions {
  unsigned concurrency = 64;
  std::string path = "/";
  /// As HTTP clients do with a GET: once more on a new connection when the first one ended before the
  /// answer's first byte. Counted apart.
  bool ask_again = false;
  bool line = false;  ///< one line that stays instead of progress and table
};

struct RoundTripOptions {
  unsigned sessions = 1;
  std::size_t message_bytes = 64;
};

enum class Direction : std::uint8_t { Down, Up, Both };

struct BulkOptions {
  unsigned streams = 1;
  Direction direction = Direction::Down;
  std::optional<std::uint64_t> bytes;   ///< for each stream and direction
  double rate_bytes_per_second = 0;     ///< of all streams and each direction; 0: flat out
  std::size_t chunk_bytes = 64 * 1024;  ///< paced writes and reads are this large
  bool verify = false;
  bool truncate = false;  ///< discard in the kernel (MSG_TRUNC) instead of copying to this process
};

struct IdleOptions {
  unsigned sessions = 100;
  bool exchange = false;  ///< one byte there and back first
};

enum class ServeMode : std::uint8_t { Echo, Source, Sink, Http, Letter, Answer };

struct ServeOptions {
  std::vector<Address> listen;
  ServeMode mode = ServeMode::Echo;
  Preface preface = Preface::None;           ///< not heeded by source
  std::string name;                          ///< http; empty: the address it was reached at
  std::string greeting;                      ///< letter
  std::optional<std::uint64_t> bytes;        ///< source: then FIN
  std::optional<std::uint64_t> close_after;  ///< the others: FIN after so many received bytes are answered
  double rate_bytes_per_second = 0;          ///< source, for each connection
  std::size_t chunk_bytes = 64 * 1024;
  std::size_t request_bytes = 64;  ///< answer
  std::size_t answer_bytes = 64;   ///< answer
  bool verify = false;             ///< sink
  bool truncate = false;           ///< sink
  OutputOptions output;
};

int run_churn(const ClientOptions& common, const ChurnOptions& options);
int run_round_trips(const ClientOptions& common, const RoundTripOptions& options);
int run_get(const ClientOptions& common, const GetOptions& options);
int run_bulk(const ClientOptions& common, const BulkOptions& options);
int run_idle(const ClientOptions& common, const IdleOptions& options);
int run_serve(const ServeOptions& options);

/// Reads the command line and runs what it asks for; the exit status.
int run_command_line(int argc, char** argv);

}  // namespace weir::load
