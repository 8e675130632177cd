#include "lb/wire/proxy_header.h"
#include "tests/fuzz/input.h"

using namespace weir;
using fuzz::Exact;

namespace {

bool is_same(const ProxyHeaderParse& a, const ProxyHeaderParse& b) {
  const auto& one = std::get<ProxyHeader>(a);
  const auto& other = std::get<ProxyHeader>(b);
  return one.size_bytes == other.size_bytes && one.version == other.version &&
         one.is_local == other.is_local && one.announced == other.announced &&
         text_of(one.tlvs) == text_of(other.tlvs);
}

/// What is written of a header says what the header said.
void check_written(const ProxyHeader& header) {
  const ProxiedEnds ends = header.announced.value_or(ProxiedEnds());
  const std::string line = write_proxy_v1(ends.client, ends.destination);
  const Exact v1(reinterpret_cast<const std::uint8_t*>(line.data()), line.size());
  const auto read_v1 = parse_proxy_header(v1.bytes());
  WEIR_CHECK(std::get<ProxyHeader>(read_v1).announced == header.announced);

  const std::string block = write_proxy_v2(
      ends.client, ends.destination, {.passed_on = header.tlvs, .unique_id = "id", .authority = "a.example"});
  if (block.size() > kMaxProxyV2Bytes) {
    WEIR_CHECK(block.size() <= header.size_bytes + 36);
    return;
  }
  const Exact v2(reinterpret_cast<const std::uint8_t*>(block.data()), block.size());
  const auto read_v2 = parse_proxy_header(v2.bytes());
  WEIR_CHECK(std::get<ProxyHeader>(read_v2).announced == header.announced);
  WEIR_CHECK(std::get<ProxyHeader>(read_v2).size_bytes == block.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Exact all(data, size);
  const auto whole = parse_proxy_header(all.bytes());
  for (std::size_t cut = 0; cut < size; cut += cut < 128 ? 1 : 1 + size / 32) {
    const Exact part(data, cut);
    fuzz::check_cut(parse_proxy_header(part.bytes()), cut, whole, is_same);
  }
  if (const auto* header = std::get_if<ProxyHeader>(&whole)) {
    WEIR_CHECK(header->size_bytes <= size);
    WEIR_CHECK(header->size_bytes <= (header->version == 1 ? kMaxProxyV1Bytes : kMaxProxyV2Bytes));
    check_written(*header);
  }
  return 0;
}
