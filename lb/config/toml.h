#pragma once

// toml++ is compiled once, in toml.cpp: it takes seconds. Includes of it anywhere else go through this
// header.
#define TOML_HEADER_ONLY 0
#include <toml++/toml.h>
