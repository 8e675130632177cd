#define TOML_IMPLEMENTATION
#include "lb/config/toml.h"
