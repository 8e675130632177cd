"""The guard: what a connection, a round trip and a bulk message cost Weir, in figures that a busy machine does not move.

Instructions of Weir's own code (callgrind; those of libraries and of the kernel are left out) and system calls by name
(strace), of one worker under one client at a time. bench/guard.json holds the budgets; more than that fails."""

import json
import math
import re
import statistics
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

from .peers import peers
from .processes import ROOT, free_port, run
from .scenarios import Context, serve

BUDGETS = ROOT / "bench/guard.json"
MORE_INSTRUCTIONS = 0.03
MORE_CALLS = 0.05
# Two events may share a wake-up, as the scheduler will have it (3.1 for a connection on a busy machine, 3.9 on a quiet
# one): the only count that is not exact. Its budget is the whole number above.
WAKE_UP = "epoll_wait"
WARM_UP = 100

CHURN = ("churn", "--concurrency", "1")
ROUND_TRIPS = ("rr", "--sessions", "1")
# Spliced both ways. A stream without a pause would not do: how much of it a wake-up finds is a matter of time.
BULK_MESSAGES = ("rr", "--sessions", "1", "--bytes", "128Ki")


class Watched:
    """Weir under a tool, between a weir-bench client and a weir-bench server, for the length of a block."""

    def __init__(self, build, tool, server):
        self.build, self.tool, self.server = build, tool, server

    def __enter__(self):
        self.scratch = tempfile.TemporaryDirectory(prefix="weir-guard-")
        self.directory = Path(self.scratch.name)
        backend_port, listen_port = free_port(), free_port()
        self.context = Context(str(self.build / "bench/load/weir-bench"), 0, 0, port=listen_port)
        self.serving = serve(*self.server)(self.context, self.directory, backend_port)
        self.serving.__enter__()
        weir = next(peer for peer in peers(self.build) if peer.name == "weir")
        weir.command = [*(part.format(dir=self.directory, conf="{conf}") for part in self.tool), *weir.command]
        self.weir = weir.start(self.directory, listen_port, backend_port)
        self.weir.seconds = 60
        try:
            self.process = self.weir.__enter__()
        except RuntimeError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        # To Weir itself, below strace: the tool's summary comes when its child has ended.
        if self.weir.process.poll() is None:
            children = Path(f"/proc/{self.weir.process.pid}/task/{self.weir.process.pid}/children").read_text().split()
            subprocess.run(["kill", *(children or [str(self.weir.process.pid)])], check=False)
            try:
                self.weir.process.wait(20)
            except subprocess.TimeoutExpired:
                self.weir.process.kill()
                self.weir.process.wait()
        self.serving.__exit__()

    def drive(self, *arguments):
        report = self.context.client(*arguments, "--timeout", "30s")
        if report["errors"]:
            raise RuntimeError(f"{' '.join(arguments)}: {report['errors_by_kind']}")


# --- instructions ----------------------------------------------------------------------------------------------------

CALLGRIND = ["valgrind", "-q", "--tool=callgrind", "--callgrind-out-file={dir}/callgrind"]


def instructions_by_function(dump, program):
    """Executed in each function of `program` itself, without what it calls (the format: valgrind's manual, chapter
    "Callgrind Format Specification")."""
    objects, functions = {}, {}
    found = Counter()
    current_object = current_function = ""
    skip = False
    name_of = re.compile(r"(\w+)=\((\d+)\)(?: (.*))?")

    def named(names, number, name):
        if name is not None:
            names[number] = name
        return names[number]

    for line in dump.read_text().splitlines():
        if match := name_of.match(line):
            key, number, name = match.groups()
            if key == "ob":
                current_object = named(objects, number, name)
            elif key == "cob":
                named(objects, number, name)
            elif key == "fn":
                current_function = named(functions, number, name)
            elif key == "cfn":
                named(functions, number, name)
        elif line.startswith("calls="):
            skip = True  # the next line is what the callee took
        elif re.match(r"[\d+*-]", line):
            if not skip and current_object == program:
                found[current_function] += int(line.split()[1])
            skip = False
    return found


class Callgrind(Watched):
    def __init__(self, build, server):
        super().__init__(build, CALLGRIND, server)
        self.dumps = 0

    def dump(self):
        """What has been executed since the last one."""
        run(["callgrind_control", "-d", str(self.process.pid)])
        self.dumps += 1
        path = self.directory / f"callgrind.{self.dumps}"
        if not path.exists():
            raise RuntimeError("callgrind_control made no dump: may this user ptrace?")
        return instructions_by_function(path, str(self.build / "weir"))

    def cost(self, count, *arguments, times=3):
        """Instructions of one of `count`, by function. The least of a few times: chance only ever adds wake-ups."""
        self.drive(*arguments, "--count", str(WARM_UP))
        found = []
        for _ in range(times):
            self.dump()
            self.drive(*arguments, "--count", str(count))
            found.append({name: spent / count for name, spent in self.dump().items()})
        return min(found, key=lambda spent: sum(spent.values()))


def instructions(build, connections=500, round_trips=1000, bulk_messages=300):
    """By what is measured, then by function."""
    with Callgrind(build, ("--mode", "echo")) as weir:
        return {"connection": weir.cost(connections, *CHURN), "round_trip": weir.cost(round_trips, *ROUND_TRIPS),
                "bulk_message": weir.cost(bulk_messages, *BULK_MESSAGES, times=7)}


# --- system calls ----------------------------------------------------------------------------------------------------

def calls_of_run(build, connections, round_trips):
    """All system calls of a Weir from its start to its end, by name."""
    with Watched(build, ["strace", "-f", "-c", "-U", "name,calls", "-o", "{dir}/strace"], ("--mode", "echo")) as weir:
        weir.drive(*CHURN, "--count", str(connections))
        weir.drive(*ROUND_TRIPS, "--count", str(round_trips))
    counts = Counter()
    for line in (weir.directory / "strace").read_text().splitlines():
        if (match := re.fullmatch(r"\s*(\w+)\s+(\d+)\s*", line)) and match[1] != "total":
            counts[match[1]] += int(match[2])
    if not counts["accept4"]:
        raise RuntimeError("strace has counted nothing: may this user ptrace?")
    return counts


def system_calls(build, connections=300, round_trips=600):
    """By what is measured, then by name. Two runs that differ in nothing but the number of one thing: start and end
    cancel out."""
    base = calls_of_run(build, WARM_UP, WARM_UP)
    found = {}
    for what, more in (("connection", (connections, 0)), ("round_trip", (0, round_trips))):
        counts = calls_of_run(build, WARM_UP + more[0], WARM_UP + more[1])
        each = {name: (counts[name] - base[name]) / max(more) for name in counts}
        found[what] = {name: round(calls, 2) for name, calls in sorted(each.items()) if abs(calls) >= MORE_CALLS / 2}
    return found


# --- holding the budgets ---------------------------------------------------------------------------------------------

def compiler(build):
    cache = build / "CMakeCache.txt"
    if not cache.exists():
        return "unknown"
    program = re.search(r"^CMAKE_CXX_COMPILER:\w+=(.*)$", cache.read_text(), re.M)
    return run([program[1], "--version"]).splitlines()[0] if program else "unknown"


def faults_of_instructions(found, budget):
    faults = []
    for what, limit in budget.items():
        spent = found[what]
        if spent > limit * (1 + MORE_INSTRUCTIONS):
            faults.append(f"instructions for a {what}: {spent:,.0f}, budget {limit:,.0f} (+{spent / limit - 1:.1%})")
    return faults


def faults_of_calls(found, budget):
    faults = []
    for what, limits in budget.items():
        for name in sorted(found[what].keys() | limits.keys()):
            made, limit = found[what].get(name, 0), limits.get(name, 0)
            if made > limit + MORE_CALLS:
                faults.append(f"system calls for a {what}: {name} {made:g}, budget {limit:g}")
    return faults


def rounded(budgeted):
    """The whole number of calls that is meant."""
    return {name: math.ceil(calls - MORE_CALLS) if name == WAKE_UP
            else round(calls) if abs(calls - round(calls)) <= MORE_CALLS else calls
            for name, calls in budgeted.items() if calls > MORE_CALLS}


def measure(build, rounds):
    by_function = [instructions(build) for _ in range(rounds)]
    each = [{what: sum(spent.values()) for what, spent in found.items()} for found in by_function]
    spread = {what: [one[what] for one in each] for what in each[0]}
    return {what: statistics.median(values) for what, values in spread.items()}, spread, by_function[-1]


def print_functions(by_function, most=25):
    for what, spent in by_function.items():
        print(f"\nWeir's own instructions for a {what}, by function:")
        for name, count in Counter(spent).most_common(most):
            if count >= 1:
                print(f"  {count:9,.1f}  {name}")


def guard(arguments):
    rounds = 3 if arguments.update else 1
    medians, spread, by_function = measure(arguments.build, rounds)
    calls = system_calls(arguments.build)
    for what, values in spread.items():
        more = f", of {len(values)} runs {min(values):,.1f} .. {max(values):,.1f}" if len(values) > 1 else ""
        print(f"instructions for a {what}: {medians[what]:,.1f}{more}")
    for what, made in calls.items():
        print(f"system calls for a {what}: {sum(made.values()):g}  " + ", ".join(f"{n} {c:g}" for n, c in made.items()))
    if arguments.functions:
        print_functions(by_function)
    if arguments.update:
        budgets = {"compiler": compiler(arguments.build),
                   "instructions": {what: round(value) for what, value in medians.items()},
                   "system_calls": {what: rounded(made) for what, made in calls.items()}}
        BUDGETS.write_text(json.dumps(budgets, indent=2) + "\n")
        print(f"written: {BUDGETS.relative_to(ROOT)}")
        return 0
    budgets = json.loads(BUDGETS.read_text())
    faults = faults_of_instructions(medians, budgets["instructions"])
    faults += faults_of_calls(calls, budgets["system_calls"])
    if faults and budgets["compiler"] != compiler(arguments.build):
        faults.append(f"the budget was made with another compiler: {budgets['compiler']}")
    for fault in faults:
        print(f"FAIL {fault}")
    print("guard: " + ("over budget" if faults else "within budget"))
    return 1 if faults else 0
