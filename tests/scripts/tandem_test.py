#!/usr/bin/env -S python3 -B
"""The shop's day in conf/tandem: what a gateway, Weir, caches and services do for each other.
    tandem_test.py BUILD_DIR"""
import collections
import http.client
import json
import os
import signal
import sys
import threading
import time

from show import Show, alone, must

SHOP = {"X-API-Key": "shop-key"}


class Gateway:
    def __init__(self, port):
        self.port = port

    def get(self, path, headers=SHOP):
        """Status, body, and headers of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode().strip(), dict(answer.getheaders())
        finally:
            connection.close()


class Shoppers:
    """Ask for `path` all the time until they are asked how it was."""

    def __init__(self, gateway, path):
        self.gateway, self.path = gateway, path
        self.bad, self.answers, self.done = [], collections.Counter(), False
        self.threads = [threading.Thread(target=self.shop) for _ in range(4)]
        for thread in self.threads:
            thread.start()

    def shop(self):
        while not self.done:
            try:
                status, body, _ = self.gateway.get(self.path)
            except OSError as error:
                status, body = repr(error), ""
            if status == 200:
                self.answers[body] += 1
            else:
                self.bad.append((status, body))

    def total(self):
        return sum(self.answers.values())

    def wait_for(self, more):
        wanted = self.total() + more
        must(lambda: self.total() >= wanted, f"{more} answers more of {self.path}")

    def leave(self):
        self.done = True
        for thread in self.threads:
            thread.join()
        assert not self.bad, (self.path, self.bad[:5])


def backend(show, pool, name):
    for one in json.loads(show.weir("status", "-o", "json"))["pools"]:
        for candidate in one["backends"]:
            if (one["name"], candidate["name"]) == (pool, name):
                return candidate
    raise AssertionError(f"{pool}/{name} is not there")


def in_the_morning(gateway):
    """The key, the rate, and one page out of three services."""
    assert gateway.get("/shop", {})[0] == 401
    status, page, _ = gateway.get("/shop")
    assert status == 200
    for service in ("catalog-", "inventory-", "payment-"):
        assert service in page, page
    begin = time.monotonic()
    demo = [gateway.get("/inventory/", {"X-API-Key": "demo-key"})[0] for _ in range(300)]
    assert demo[0] == 200 and set(demo) <= {200, 429}, collections.Counter(demo)
    assert 429 in demo or time.monotonic() - begin > 10, "20 a second, and 20 at once"
    assert gateway.get("/inventory/")[0] == 200


def evenly(gateway):
    split = collections.Counter(gateway.get("/inventory/shoes")[1] for _ in range(60))
    assert len(split) == 3 and max(split.values()) - min(split.values()) <= 6, split


def a_session_sticks(gateway):
    seen = collections.defaultdict(set)
    for session in range(30):
        for _ in range(4):
            seen[session].add(gateway.get("/payment/pay", {**SHOP, "Cookie": f"session={session}"})[1])
    assert all(len(servers) == 1 for servers in seen.values()), seen
    assert len(set.union(*seen.values())) == 3, "the sessions are spread"


def a_service_dies(show, gateway):
    shoppers = [Shoppers(gateway, "/payment/pay"), Shoppers(gateway, "/inventory/shoes")]
    for one in shoppers:
        one.wait_for(50)
    for name in ("payment-1", "inventory-2"):
        os.kill(show.pid(name), signal.SIGKILL)
        must(lambda: backend(show, name[:-2], name)["health"] == "down", f"{name} is out")
    for one in shoppers:
        one.wait_for(50)
        one.leave()


def a_server_is_drained(show, gateway):
    shoppers = Shoppers(gateway, "/inventory/shoes")
    shoppers.wait_for(30)
    show.weir("drain", "inventory/inventory-1", "--wait")
    shoppers.wait_for(10)
    before = shoppers.answers["inventory-1"]
    shoppers.wait_for(50)
    assert shoppers.answers["inventory-1"] == before > 0
    # Nobody is there any more: it can be taken away.
    os.kill(show.pid("inventory-1"), signal.SIGKILL)
    shoppers.wait_for(50)
    shoppers.leave()


def the_cache_serves(show, gateway):
    for _ in range(12):  # each of the caches has it
        assert gateway.get("/catalog/today")[0] == 200
    assert must(lambda: gateway.get("/catalog/today")[2].get("X-Cache") == "HIT", "an answer out of a cache")
    for number in (1, 2, 3):
        os.kill(show.pid(f"catalog-{number}"), signal.SIGKILL)
    for number in (1, 2, 3):
        must(lambda: backend(show, "catalog", f"cache-{number}")["health"] == "down", "nobody lives")
    must(lambda: gateway.get("/catalog/today")[2].get("X-Cache") == "STALE", "an answer that is too old")
    for _ in range(12):
        status, body, _ = gateway.get("/catalog/today")
        assert (status, body[:8]) == (200, "catalog-"), (status, body)
    assert gateway.get("/shop")[0] == 200


def main():
    alone("nginx")
    with Show(sys.argv[1], "tandem", REVIVE_AFTER="3600") as show:
        show.until_said(r"Ctrl-C stops it")
        gateway = Gateway(int(show.said(r"127\.0\.0\.1:(\d+)/?\n|127\.0\.0\.1:(\d+) ")[0].strip().split(":")[1]))
        in_the_morning(gateway)
        evenly(gateway)
        a_session_sticks(gateway)
        the_cache_serves(show, gateway)
        a_service_dies(show, gateway)
        a_server_is_drained(show, gateway)
        show.ctrl_c()
        show.ends_with(0)
        assert not show.folder().exists()
        print("the shop's day is over")


main()
