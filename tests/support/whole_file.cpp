#include "tests/support/whole_file.h"

#include <fmt/format.h>

namespace weir::test {

std::string whole_file(const SimpleConfig& base, const std::vector<ListenerText>& listeners,
                       const std::vector<PoolText>& pools) {
  std::string text = fmt::format("workers = {}\nstate_file = \"{}\"\n{}\n\n[admin]\n{}\n\n[log]\n{}\n\n",
                                 base.workers, base.state_file, base.global, base.admin, base.log);
  for (const ListenerText& listener : listeners)
    text += fmt::format("[[listener]]\nname = \"{}\"\nbind = \"{}\"\npool = \"{}\"\n\n", listener.name,
                        listener.bind, listener.pool);
  for (const PoolText& pool : pools) {
    text +=
        fmt::format("[[pool]]\nname = \"{}\"\n{}\n\n[pool.health]\n{}\n", pool.name, pool.more, base.health);
    for (const BackendText& backend : pool.backends)
      text += fmt::format("\n[[pool.backend]]\nname = \"{}\"\naddress = \"{}\"\n{}\n", backend.name,
                          backend.address, backend.more);
    text += "\n";
  }
  return text;
}

}  // namespace weir::test
