#include "lb/config/fault_json.h"

#include <nlohmann/json.hpp>

namespace weir {

nlohmann::ordered_json json_of(const std::vector<Fault>& faults, const std::string& file) {
  auto list = nlohmann::ordered_json::array();
  for (const Fault& fault : faults)
    list.push_back(
        {{"file", file}, {"line", fault.line}, {"column", fault.column}, {"message", fault.message}});
  return list;
}

}  // namespace weir
