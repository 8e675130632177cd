"""Clients and servers on other hosts than the balancer (suite/hosts.py), so that figures do not belong to loopback alone."""

import os
import shutil

from .hosts import Path
from .scenarios import PER_GB, PER_OPERATION, ROUND_TRIPS_50, Metric, Scenario, bulk, latency, operations, serve

# From one address: the clients' host has no other.
CHURN = operations("connections_completed", "churn", "--concurrency", "50", "--reset")


def missing():
    if os.geteuid() != 0:
        return "only root makes network namespaces"
    return None if shutil.which("ip") else "no ip"


def scenarios():
    echo, source, sink = (serve("--mode", mode) for mode in ("echo", "source", "sink"))
    times = [Metric("p50_us", "µs"), Metric("p99_us", "µs")]

    def one(name, question, server, metrics, measure, path):
        return Scenario(f"path-{name}", question, server, metrics, measure, path=path, missing=missing)

    def connection(name, path, words):
        return one(f"{name}-connection", f"CPU for a short connection, flat out, {words}", echo, PER_OPERATION,
                   CHURN, path)

    def round_trip(name, path, words):
        return one(f"{name}-round-trip", f"CPU for a round trip, 50 sessions, {words}", echo, PER_OPERATION, ROUND_TRIPS_50,
                   path)

    def flat(name, path, words, direction):
        return one(f"{name}-flat-{direction}", f"throughput flat out, 4 streams, {direction}, {words}",
                   {"down": source, "up": sink}[direction], PER_GB[::-1], bulk(direction, 4), path)

    def waits(name, path, words):
        return one(f"{name}-latency", f"time for a short connection at 200 a second, {words}", echo, times,
                   latency("churn", "--rate", "200", "--reset"), path)

    found = []
    for name, path, words in (("veth", Path(), "MTU 1500"), ("veth-9000", Path(mtu=9000), "MTU 9000"),
                              ("cubic", Path(congestion="cubic"), "MTU 1500, cubic"),
                              ("1ms", Path(delay_ms=1), "1 ms away"), ("20ms", Path(delay_ms=20), "20 ms away")):
        if name in ("veth", "1ms", "20ms"):
            found += [connection(name, path, words), round_trip(name, path, words)]
        found += [flat(name, path, words, "down"), flat(name, path, words, "up")]
        if path.delay_ms:
            found.append(waits(name, path, words))
    return found
