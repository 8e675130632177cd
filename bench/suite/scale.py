"""How costs grow: with backends, idle sessions, workers and probes. A chart for each."""

import json
import os
import statistics
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from . import chart, fleet, peers
from .compare import kept, number, show
from .fleet import Kind
from .processes import QUIET, free_port, cpu_seconds, resident_bytes
from .scenarios import CHURN_WITH_RESETS, Context, Holding, serve

BACKENDS = (10, 100, 1000, 10_000)
SESSIONS = (0, 1000, 2000, 4000, 8000)
WORKERS = (1, 2)
PROBED = (10, 100, 1000)


@dataclass
class Figure:
    """One line of one chart for each balancer. `value` is a key of what a point holds."""
    value: str
    title: str
    unit: str
    log_y: bool = False


@dataclass
class Part:
    """One question. `measure(arguments, name, x)` returns a point: figures by name."""
    name: str
    question: str
    x: str
    xs: tuple
    balancers: object   # (arguments) → names
    measure: object
    figures: list
    log_x: bool = False
    rounds: bool = True  # worth repeating


def context_of(arguments, workers=1):
    return Context(str(arguments.build / "bench/load/weir-bench"), arguments.seconds, 0, workers)


@contextmanager
def fleet_of(arguments, kind, count, probes=False):
    """Yields a Context with the balancer running, and the seconds it took to start."""
    context, backend_port = context_of(arguments), free_port()
    with tempfile.TemporaryDirectory(prefix="weir-scale-") as name:
        with serve("--mode", "echo", address="0.0.0.0")(context, Path(name), backend_port) as serving:
            context.server_pid, context.port = serving.pid, free_port()
            began = time.monotonic()
            with fleet.start(kind, arguments.build, Path(name), context.port, fleet.addresses(count, backend_port),
                             probes) as balancer:
                context.balancer_pid = balancer.pid
                yield context, time.monotonic() - began


def kind_of(name):
    return Kind(*name.split())


def backends(arguments, name, count):
    with fleet_of(arguments, kind_of(name), count) as (context, start_seconds):
        # A turn over all the backends first, from 64 client addresses.
        context.client("churn", "--count", str(max(1000, count)), "--sources", "64", "--reset")
        report, cpu = context.timed("churn", "--concurrency", "50", "--reset", "--sources", "64")
        return {"balancer_cpu_us": cpu.balancer / report["connections_completed"] * 1e6,
                "resident_mib": resident_bytes(context.balancer_pid) / 2**20, "start_seconds": start_seconds}


def sessions(arguments, name, count):
    with fleet_of(arguments, kind_of(name), 1) as (context, _):
        context.client("rr", "--count", "10")
        if count == 0:
            return idle_costs(context)
        with Holding(context, count):
            return idle_costs(context)


def idle_costs(context):
    time.sleep(1)
    before, began = cpu_seconds(context.balancer_pid), time.monotonic()
    time.sleep(context.seconds)
    spent = (cpu_seconds(context.balancer_pid) - before) / (time.monotonic() - began)
    return {"resident_mib": resident_bytes(context.balancer_pid) / 2**20, "cpu_ms_per_second": spent * 1e3}


def workers(arguments, name, count):
    peer = next(peer for peer in peers.peers(arguments.build) if peer.name == name)
    context, backend_port = context_of(arguments, workers=2), free_port()  # the load on both CPUs, for one too
    with tempfile.TemporaryDirectory(prefix="weir-scale-") as directory:
        with serve("--mode", "echo")(context, Path(directory), backend_port) as serving:
            context.server_pid, context.port = serving.pid, free_port()
            with peer.start(Path(directory), context.port, backend_port, count) as balancer:
                context.balancer_pid = balancer.pid
                found = CHURN_WITH_RESETS(context)
                return {"balancer_cpu_us": found["balancer_cpu_us"], "per_second": found["per_second"]}


def probes(arguments, name, count):
    with fleet_of(arguments, kind_of(name), count, probes=True) as (context, _):
        time.sleep(2)  # over the first round, which comes at once
        return idle_costs(context)


def installed(arguments, names):
    there = {peer.name for peer in peers.peers(arguments.build) if not peer.missing()}
    return [name for name in names
            if name.split()[0] in there and (not arguments.peer or name.split()[0] in arguments.peer)]


def parts():
    return [
        Part("scale-backends", "a connection's CPU with 10 to 10,000 backends", "backends", BACKENDS,
             lambda arguments: installed(arguments, [kind.name for kind in fleet.kinds()]), backends,
             [Figure("balancer_cpu_us", "CPU of the balancer for a short connection", "µs"),
              Figure("resident_mib", "memory of the balancer", "MiB", True),
              Figure("start_seconds", "from the start until it listens", "s", True)], log_x=True),
        Part("scale-sessions", "memory and CPU of 0 to 8,000 idle sessions", "idle sessions", SESSIONS,
             lambda arguments: installed(arguments, ["weir round_robin", "haproxy roundrobin", "nginx round_robin"]),
             sessions, [Figure("resident_mib", "memory of the balancer", "MiB"),
                        Figure("cpu_ms_per_second", "CPU of the balancer while nothing happens", "ms/s")], rounds=False),
        Part("scale-workers", "1 and 2 workers, the load on the same two CPUs", "workers", WORKERS,
             lambda arguments: installed(arguments, ["weir", "haproxy", "nginx"]), workers,
             [Figure("balancer_cpu_us", "CPU of the balancer for a short connection", "µs"),
              Figure("per_second", "short connections", "/s")]),
        Part("scale-probes", "CPU for 10 to 1,000 backends probed by tcp every second", "backends", PROBED,
             lambda arguments: installed(arguments, ["weir round_robin", "haproxy roundrobin"]), probes,
             [Figure("cpu_ms_per_second", "CPU of the balancer for probes alone", "ms/s")], log_x=True),
    ]


def measure_part(part, arguments):
    points = []
    names = part.balancers(arguments)
    for turn in range(arguments.rounds if part.rounds else 1):
        for x in part.xs:
            first = turn % len(names)
            for name in names[first:] + names[:first]:
                show(f"{part.name} round {turn + 1} {name} {x}")
                point = {"part": part.name, "name": name, "x": x, "round": turn}
                try:
                    point["figures"] = part.measure(arguments, name, x)
                except (RuntimeError, OSError) as error:
                    point["failed"] = str(error)
                    show("")
                    print(f"{part.name}, {name}, {x}: {error}", file=sys.stderr)
                points.append(point)
    show("")
    return points


def lines_of(part, figure, points):
    """The medians by balancer: [(x, y), …]."""
    lines = {}
    for name in dict.fromkeys(point["name"] for point in points):
        for x in part.xs:
            found = [point["figures"][figure.value] for point in points
                     if point["name"] == name and point["x"] == x and "figures" in point]
            if found:
                lines.setdefault(name, []).append((x, statistics.median(found)))
    return lines


def print_part(part, points):
    print(f"\n{part.name}: {part.question}")
    for figure in part.figures:
        print(f"  {figure.title}, {figure.unit}")
        print(f"    {part.x:<28}" + "".join(f"{x:>12,}" for x in part.xs))
        for name, line in lines_of(part, figure, points).items():
            values = dict(line)
            print(f"    {name:<28}" + "".join(f"{number(values[x]) if x in values else '-':>12}" for x in part.xs))
    sys.stdout.flush()


def draw_part(part, points, folder, was_quiet):
    for figure in part.figures:
        path = folder / (f"{part.name}.svg" if figure is part.figures[0] else f"{part.name}-{figure.value}.svg")
        title = figure.title + ("" if was_quiet else " (the machine was busy)")
        chart.draw_lines(path, title, part.x, figure.unit, lines_of(part, figure, points), part.log_x, figure.log_y)
        print(f"written: {path}")


def scale(arguments, chosen, about):
    out = arguments.results / "scale.json"
    points = kept(out, "points", "part", chosen, about) if arguments.keep else []
    for part in chosen:
        found = measure_part(part, arguments)
        print_part(part, found)
        try:
            draw_part(part, found, arguments.results, about["load_before"][0] < QUIET)
        except (RuntimeError, OSError) as error:
            print(f"bench: no chart: {error}", file=sys.stderr)
        points += found
    out.write_text(json.dumps({**about, "load_after": os.getloadavg(), "rounds": arguments.rounds,
                               "seconds": arguments.seconds, "points": points}, indent=1) + "\n")
    print(f"written: {out}")
    return 1 if any("failed" in point for point in points) else 0
