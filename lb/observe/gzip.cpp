#include "lb/observe/gzip.h"

#include <zlib.h>

namespace weir {
namespace {

constexpr int kQuickly = 1;
/// zlib.h: windowBits beyond 15 by 16 is gzip's format.
constexpr int kGzipFormat = MAX_WBITS + 16;
constexpr int kMemory = 8;  // zlib's default

Bytef* bytes_of(std::string_view text) {
  return reinterpret_cast<Bytef*>(
      const_cast<char*>(text.data()));  // zlib's next_in is not const; it only reads
}

}  // namespace

std::string gzip(std::string_view text) {
  z_stream stream{};
  WEIR_CHECK(deflateInit2(&stream, kQuickly, Z_DEFLATED, kGzipFormat, kMemory, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string out(deflateBound(&stream, text.size()), '\0');
  stream.next_in = bytes_of(text);
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = bytes_of(out);
  stream.avail_out = static_cast<uInt>(out.size());
  WEIR_CHECK(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

Result<std::string> gunzip(std::string_view compressed, std::size_t most_bytes) {
  z_stream stream{};
  WEIR_CHECK(inflateInit2(&stream, kGzipFormat) == Z_OK);
  std::string out(most_bytes, '\0');
  stream.next_in = bytes_of(compressed);
  stream.avail_in = static_cast<uInt>(compressed.size());
  stream.next_out = bytes_of(out);
  stream.avail_out = static_cast<uInt>(out.size());
  const int result = inflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  inflateEnd(&stream);
  if (result != Z_STREAM_END) return fail("is no gzip, or too large");
  return out;
}

}  // namespace weir
