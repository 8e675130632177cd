#pragma once

#include <string_view>

namespace weir {

/// What Weir calls what HAProxy, nginx, Envoy and the clouds' balancers call `key`, as a user writes it:
/// "[[listener]]", "pool.balance"; "" when it is none of their words. Case and the difference of - and _ do
/// not matter.
std::string_view own_word_for_key(std::string_view key);
/// The same of a value: "least_connections" for "leastconn".
std::string_view own_word_for_value(std::string_view value);

}  // namespace weir
