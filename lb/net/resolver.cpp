#include "lb/net/resolver.h"

#include <netdb.h>

#include <algorithm>
#include <memory>

#include "lb/net/uv_access.h"

namespace weir {
namespace {

struct Request {
  uv_getaddrinfo_t uv{};
  std::uint16_t port = 0;
  std::function<void(Result<std::vector<Address>>)> done;
};

void finish(uv_getaddrinfo_t* uv, int status, addrinfo* list) {
  const std::unique_ptr<Request> request(static_cast<Request*>(uv->data));
  if (status != 0) {
    request->done(fail(uv_strerror(status)));
    return;
  }
  std::vector<Address> addresses;
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    if (entry->ai_family != AF_INET && entry->ai_family != AF_INET6) continue;
    Address address(entry->ai_addr, entry->ai_addrlen);
    address.set_port(request->port);
    if (std::find(addresses.begin(), addresses.end(), address) == addresses.end())
      addresses.push_back(address);
  }
  uv_freeaddrinfo(list);
  if (addresses.empty())
    request->done(fail("the name has no address"));
  else
    request->done(std::move(addresses));
}

}  // namespace

void resolve(Loop& loop, const std::string& host, std::uint16_t port,
             std::function<void(Result<std::vector<Address>>)> done) {
  auto request = std::make_unique<Request>();
  request->port = port;
  request->done = std::move(done);
  request->uv.data = request.get();
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  Request* const raw = request.release();
  if (const int error = uv_getaddrinfo(LoopAccess::uv(loop), &raw->uv, finish, host.c_str(), nullptr, &hints);
      error != 0) {
    // Never from within this call: the caller is not yet ready for the answer.
    const std::unique_ptr<Request> refused(raw);
    loop.post([answer = std::move(refused->done), error] { answer(fail(uv_strerror(error))); });
  }
}

}  // namespace weir
