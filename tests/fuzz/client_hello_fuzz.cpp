#include <algorithm>

#include "lb/wire/client_hello.h"
#include "lb/wire/postgres_start.h"
#include "tests/fuzz/input.h"

using namespace weir;
using fuzz::Exact;

namespace {

bool is_same(const ClientHelloParse& a, const ClientHelloParse& b) {
  const auto* one = std::get_if<ClientHello>(&a);
  const auto* other = std::get_if<ClientHello>(&b);
  if (one == nullptr || other == nullptr) return one == other;
  return one->server_name() == other->server_name() && one->alpn_list() == other->alpn_list();
}

ClientHelloParse read_at_once(Bytes bytes) {
  ClientHelloReader reader;
  return reader.read(bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Exact all(data, size);
  const auto whole = read_at_once(all.bytes());

  // One reader that is given more and more says what new ones say that are given as much at once.
  ClientHelloReader reader;
  for (std::size_t cut = 0; cut <= size; cut += cut < 64 || size - cut < 8 ? 1 : 1 + size / 64) {
    const Exact part(data, cut);
    const auto more = reader.read(part.bytes());
    fuzz::check_cut(more, cut, whole, is_same);
    const auto fresh = read_at_once(part.bytes());
    WEIR_CHECK(fresh.index() == more.index());
    fuzz::check_cut(fresh, cut, whole, is_same);
    if (!std::holds_alternative<NeedsMore>(more)) break;
  }

  if (const auto* hello = std::get_if<ClientHello>(&whole)) {
    const auto* list = reinterpret_cast<const std::uint8_t*>(hello->alpn_list().data());
    ByteReader protocols(Bytes(list, hello->alpn_list().size()));
    while (!protocols.empty()) WEIR_CHECK(!protocols.take_vector8().empty());
    WEIR_CHECK(!protocols.failed());
    WEIR_CHECK(hello->server_name().find('\0') == std::string::npos);
  }

  const PostgresStart start = recognize_postgres(all.bytes());
  for (std::size_t cut = 0; cut <= std::min(size, kPostgresRequestBytes); ++cut) {
    const PostgresStart sooner = recognize_postgres(Exact(data, cut).bytes());
    WEIR_CHECK(sooner == start || (sooner == PostgresStart::NeedsMore && cut < kPostgresRequestBytes));
  }
  return 0;
}
