"""What is measured with weir-bench as client and server: one question each."""

import json
import os
import subprocess
import time
from dataclasses import dataclass, field

from .hosts import OneHost
from .processes import BOTH_CPUS, LOAD_CPU, Started, cpu_seconds, resident_bytes, run, system_busy_seconds
from .processes import wait_until_listening


@dataclass
class Metric:
    name: str
    unit: str
    lower_is_better: bool = True


@dataclass
class Scenario:
    """One question. `measure(context)` returns the values of `metrics` by name."""
    name: str
    question: str
    server: object                 # start(context, directory, port) → a block that serves on that port
    metrics: list
    measure: object
    with_direct: bool = False      # also without a balancer; what it adds is printed
    pace_gb_per_second: float = 0  # what gb_per_second must reach for the costs to be comparable
    workers: int = 1
    second: object = None           # like server: what a second listener leads to
    ways: dict = None               # by a balancer's template: how it does what is asked for beside
    prepare: object = lambda directory: None  # writes what `ways` name
    missing: object = lambda: None  # why it cannot run here
    path: object = None             # suite/hosts.py: the hosts it is run on; None: all on loopback


@dataclass
class Context:
    load: str              # weir-bench
    seconds: float
    sessions: int          # of the idle scenario
    workers: int = 1
    port: int = 0          # what the clients connect to
    second_port: int = 0   # of the second listener
    balancer_pid: int = 0  # 0 when there is none
    server_pid: int = 0
    hosts: object = field(default_factory=OneHost)

    @property
    def target(self):
        return f"{self.hosts.balancer}:{self.port}"

    def load_cpus(self):
        """Where clients and servers run: apart from a balancer of one worker, among those of two."""
        return {LOAD_CPU} if self.workers == 1 else BOTH_CPUS

    def client(self, *arguments, **options):
        pinned = ["--pin", str(LOAD_CPU)] if self.workers == 1 else []
        return json.loads(run([self.load, *arguments, "--target", self.target, "--json", "--quiet",
                               *pinned], **options))

    def costs_of(self, work):
        """What `work()` returns, and the CPU seconds it took. The client's own are its report's, if it has one."""
        balancer, server, system = self.balancer_cpu(), cpu_seconds(self.server_pid), system_busy_seconds()
        report = work()
        balancer, server = self.balancer_cpu() - balancer, cpu_seconds(self.server_pid) - server
        client = report.get("own_cpu_user_seconds", 0) + report.get("own_cpu_system_seconds", 0)
        return report, Cpu(balancer, balancer + server + client, system_busy_seconds() - system)

    def timed(self, *arguments):
        return self.costs_of(lambda: self.client(*arguments, "--duration", f"{self.seconds}s"))

    def balancer_cpu(self):
        return cpu_seconds(self.balancer_pid) if self.balancer_pid else 0.0


@dataclass
class Cpu:
    """In seconds. A balancer can look cheap by pushing work to its neighbours: `all` has both ends in it. `system` is
    what all CPUs did, interrupts and kernel threads included; it means something on an otherwise idle machine only."""
    balancer: float
    all: float
    system: float


def serve(*arguments, address=None, **options):
    """weir-bench as the backend."""
    def start(context, directory, port):
        listen = f"{address or context.hosts.listen}:{port}"
        command = [context.load, "serve", "--listen", listen, "--quiet", "--json", *arguments]
        return Listening(command, port, context.load_cpus(), **options)
    return start


class Listening(Started):
    """A server that listens when its block begins."""

    def __init__(self, command, port, cpus, **options):
        self.port = port
        super().__init__(command, cpus, stderr=subprocess.DEVNULL, **options)

    def __enter__(self):
        try:
            wait_until_listening(self.port, self.process)
        except RuntimeError:
            self.__exit__()
            raise
        return self.process


def per(count, cpu, suffix, factor=1, whose=("balancer", "all", "system")):
    return {f"{who}_cpu_{suffix}": getattr(cpu, who) / count * factor for who in whose}


def costs(suffix, unit, whose=("balancer", "all", "system")):
    return [Metric(f"{who}_cpu_{suffix}", unit) for who in whose]


PER_OPERATION = costs("us", "µs") + [Metric("per_second", "/s", lower_is_better=False)]
PER_GB = costs("s_per_gb", "s/GB") + [Metric("gb_per_second", "GB/s", lower_is_better=False)]


def operations(count_key, *arguments):
    def measure(context):
        report, cpu = context.timed(*arguments)
        count = report[count_key]
        return {**per(count, cpu, "us", 1e6), "per_second": count / report["elapsed_seconds"]}
    return measure


def bulk(direction, streams, *more):
    def measure(context):
        report, cpu = context.timed("bulk", "--direction", direction, "--streams", str(streams), *more)
        gigabytes = (report["bytes_down"] + report["bytes_up"]) / 1e9
        return {**per(gigabytes, cpu, "s_per_gb"), "gb_per_second": report["gigabytes_per_second"]}
    return measure


def latency(*arguments):
    def measure(context):
        report = context.timed(*arguments)[0]
        return {"p50_us": report["latency_p50_us"], "p99_us": report["latency_p99_us"]}
    return measure


def first_served():
    """For a process whose waiting for a CPU is not to be measured; as root only, otherwise it waits like all."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except PermissionError:
        pass


def latency_beside_bulk(streams, *arguments):
    """The bulk is there a second before the round trips and until after them."""
    def measure(context):
        bulk = subprocess.Popen(
            [context.load, "bulk", "--direction", "down", "--truncate", "--streams", str(streams), "--target",
             f"127.0.0.1:{context.second_port}", "--duration", f"{context.seconds + 2}s", "--json", "--quiet",
             "--pin", str(LOAD_CPU)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        try:
            time.sleep(1)
            report = context.client(*arguments, "--duration", f"{context.seconds}s", preexec_fn=first_served)
        finally:
            moved = bulk.communicate()[0]
        return {"p50_us": report["latency_p50_us"], "p99_us": report["latency_p99_us"],
                "gb_per_second": json.loads(moved)["gigabytes_per_second"]}
    return measure


class Holding:
    """So many idle sessions for the length of a block."""

    def __init__(self, context, sessions):
        self.sessions = sessions
        # Spread over source addresses: a backend has 28,000 source ports for one.
        self.process = subprocess.Popen(
            [context.load, "idle", "--exchange", "--sessions", str(sessions), "--pin", str(LOAD_CPU), "--sources",
             "64", "--timeout", "20s", "--target", context.target],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        self.said = self.process.stdout.readline().split()
        return self

    def __exit__(self, *_):
        self.process.communicate("\n")
        if self.process.returncode != 0 or self.said != ["holding", str(self.sessions)]:
            raise RuntimeError(f"idle: {' '.join(self.said)}, not {self.sessions}")


def idle_memory(context):
    # A first session, so that what is set up once is not taken for the price of a session.
    context.client("rr", "--count", "10")
    before = resident_bytes(context.balancer_pid)
    with Holding(context, context.sessions):
        after = resident_bytes(context.balancer_pid)
    return {"bytes_per_session": (after - before) / context.sessions}


# Ordinary clients end with a FIN; those that reset leave no TIME_WAIT behind, on either side of the balancer.
CHURN = operations("connections_completed", "churn", "--concurrency", "50", "--sources", "64")
CHURN_WITH_RESETS = operations("connections_completed", "churn", "--concurrency", "50", "--sources", "64", "--reset")
ROUND_TRIPS_50 = operations("round_trips_completed", "rr", "--sessions", "50")


def scenarios(pace):
    echo = serve("--mode", "echo")
    found = [
        Scenario("connection", "CPU for a short connection, flat out", echo, PER_OPERATION, CHURN),
        Scenario("connection-reset", "CPU for a short connection that the client resets, flat out", echo, PER_OPERATION,
                 CHURN_WITH_RESETS),
        Scenario("round-trip-1", "CPU for a round trip, one session", echo, PER_OPERATION,
                 operations("round_trips_completed", "rr")),
        Scenario("round-trip-50", "CPU for a round trip, 50 sessions", echo, PER_OPERATION, ROUND_TRIPS_50),
    ]
    for streams in (4, 50):
        paced = f"at {pace / 1e6:.0f} MB/s in all, {streams} streams"
        found += [
            Scenario(f"paced-down-{streams}", f"CPU for a GB {paced}, down",
                     serve("--mode", "source", "--rate", str(pace // streams)), PER_GB, bulk("down", streams),
                     pace_gb_per_second=pace / 1e9),
            Scenario(f"paced-up-{streams}", f"CPU for a GB {paced}, up", serve("--mode", "sink"), PER_GB,
                     bulk("up", streams, "--rate", str(pace)), pace_gb_per_second=pace / 1e9),
            Scenario(f"flat-down-{streams}", f"throughput flat out, {streams} streams, down",
                     serve("--mode", "source"), PER_GB[::-1], bulk("down", streams)),
            Scenario(f"flat-up-{streams}", f"throughput flat out, {streams} streams, up", serve("--mode", "sink"),
                     PER_GB[::-1], bulk("up", streams)),
        ]
    found.append(Scenario("slow-readers", f"CPU for a GB, four clients that read {pace / 1e6:.0f} MB/s in all",
                          serve("--mode", "source"), PER_GB, bulk("down", 4, "--rate", str(pace)),
                          pace_gb_per_second=pace / 1e9))
    times = [Metric("p50_us", "µs"), Metric("p99_us", "µs")]
    return found + two_workers(echo) + [
        Scenario("latency-connection", "time for a short connection at 500 a second", echo, times,
                 latency("churn", "--rate", "500", "--reset"), with_direct=True),
        Scenario("latency-round-trip", "time for a round trip at 2000 a second, 50 sessions", echo, times,
                 latency("rr", "--rate", "2000", "--sessions", "50"), with_direct=True),
        Scenario("latency-beside-bulk", "time for a round trip at 500 a second beside 100 streams flat out",
                 serve("--mode", "echo", first=first_served),
                 times + [Metric("gb_per_second", "GB/s", lower_is_better=False)],
                 latency_beside_bulk(100, "rr", "--rate", "500", "--sessions", "10"),
                 second=serve("--mode", "source")),
        Scenario("idle", "memory of the process for an idle session", echo,
                 [Metric("bytes_per_session", "B")], idle_memory),
    ]


def two_workers(echo):
    """Everything on both CPUs: the load takes its part of them, for all balancers alike."""
    return [
        Scenario("connection-2-workers", "CPU for a short connection, flat out, two workers", echo, PER_OPERATION,
                 CHURN_WITH_RESETS, workers=2),
        Scenario("round-trip-2-workers", "CPU for a round trip, 50 sessions, two workers", echo, PER_OPERATION,
                 ROUND_TRIPS_50, workers=2),
        Scenario("flat-down-2-workers", "throughput flat out, 4 streams, down, two workers",
                 serve("--mode", "source"), PER_GB[::-1], bulk("down", 4), workers=2),
    ]


