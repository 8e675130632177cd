#include "lb/observe/page_bytes.h"

// WEIR_PAGE_GZIP is the file's path. Read-only data, which costs no memory before somebody asks for it.
asm(".pushsection .rodata\n"
    ".global weir_page_begin\n"
    ".global weir_page_end\n"
    "weir_page_begin:\n"
    ".incbin \"" WEIR_PAGE_GZIP
    "\"\n"
    "weir_page_end:\n"
    ".popsection\n");

extern "C" {
extern const char weir_page_begin[];
extern const char weir_page_end[];
}

namespace weir {

std::string_view page_gzip() {
  return {weir_page_begin, static_cast<std::size_t>(weir_page_end - weir_page_begin)};
}

}  // namespace weir
