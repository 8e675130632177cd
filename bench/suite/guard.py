"""The guard: what a connection, a round trip and a bulk message cost Weir, in figures that a busy machine does not move.

Instructions of Weir's own code (callgrind; those of libraries and of the kernel are left out) and system calls by name
(strace), of one worker in lock-step with its client and its backend. bench/guard.json holds the budgets; more than that
fails."""

import json
import os
import re
import signal
import statistics
import subprocess
import tempfile
from collections import Counter
from functools import partial
from pathlib import Path

from .lockstep import CHUNK, MESSAGE, Lockstep
from .peers import peers
from .processes import ROOT, free_port, run

BUDGETS = ROOT / "bench/guard.json"
MORE_INSTRUCTIONS = 0.03
MORE_CALLS = 0.05
SECONDS_OF_A_ROUND = 240
WARM_UP = 20
TIMES = 5


class Watched:
    """Weir under a tool, in lock-step with both ends, for the length of a block."""

    def __init__(self, build, tool):
        self.build, self.tool = build, tool

    def __enter__(self):
        self.scratch = tempfile.TemporaryDirectory(prefix="weir-guard-")
        self.directory = Path(self.scratch.name)
        self.ends = Lockstep()
        listen_port = free_port()
        weir = next(peer for peer in peers(self.build) if peer.name == "weir")
        weir.command = [*(part.format(dir=self.directory) for part in self.tool), *weir.command]
        self.weir = weir.start(self.directory, listen_port, self.ends.backend_port)
        self.weir.seconds = 60
        self.process = self.weir.process
        try:
            self.weir.__enter__()
            self.ends.attach(self.pid(), listen_port)
        except BaseException:
            self.__exit__()
            raise
        return self

    def pid(self):
        """Of Weir itself, which is strace's child and callgrind's own process."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(children[0]) if children else pid

    def __exit__(self, *_):
        # To Weir itself, below strace, which ends with its child.
        if self.process.poll() is None:
            os.kill(self.pid(), signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.ends.close()

    def spent(self):
        """What has been counted since the last call, by name."""
        raise NotImplementedError

    def cost(self, work, count):
        """Of one of `count`, by name. The least of a few times: a timer may run out in some."""
        work(WARM_UP)
        found = []
        for _ in range(TIMES):
            self.spent()
            work(count)
            found.append({name: spent / count for name, spent in self.spent().items()})
        return min(found, key=lambda spent: sum(spent.values()))

    def make_bulk(self, client, backend):
        """A flood whose last pieces were small ones leaves a flow that copies, so it is looked at."""
        for _ in range(10):
            self.ends.flood(client, backend)
            self.ends.flood(backend, client)
            self.spent()
            self.ends.round_trips(client, backend, CHUNK, 1)
            if not any(self.copies in name for name in self.spent()):
                return
        raise RuntimeError("Weir does not splice a bulk session")

    def costs(self):
        """By what is measured, then by name."""
        ends = self.ends
        found = {"connection": self.cost(ends.connections, 40)}
        with ends.session() as session:
            found["round_trip"] = self.cost(partial(ends.round_trips, *session, MESSAGE), 60)
        with ends.session() as session:
            self.make_bulk(*session)
            found["bulk_message"] = self.cost(partial(ends.round_trips, *session, CHUNK), 60)
        return found


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
    copies = "weir::Pump::copy"

    def __init__(self, build):
        super().__init__(build, CALLGRIND)
        self.dumps = 0

    def spent(self):
        run(["callgrind_control", "-d", str(self.process.pid)])
        self.dumps += 1
        path = self.directory / f"callgrind.{self.dumps}"
        if not path.exists():
            raise RuntimeError("callgrind_control made no dump: may this user ptrace?")
        return instructions_by_function(path, str(self.build / "weir"))


# --- system calls ----------------------------------------------------------------------------------------------------

STRACE = ["strace", "-f", "-s", "0", "-o", "{dir}/strace"]


class Strace(Watched):
    copies = "recvfrom"

    def __init__(self, build):
        super().__init__(build, STRACE)
        self.read = 0

    def spent(self):
        """strace writes whole lines at once."""
        with open(self.directory / "strace") as log:
            log.seek(self.read)
            lines = log.read()
            self.read = log.tell()
        return Counter(re.findall(r"^\d+ +(\w+)\(", lines, re.M))


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
    return {name: round(calls) if abs(calls - round(calls)) <= MORE_CALLS else round(calls, 2)
            for name, calls in sorted(budgeted.items()) if calls > MORE_CALLS}


def give_up(*_):
    raise RuntimeError(f"the guard is not done after {SECONDS_OF_A_ROUND} s")


def measure(build):
    """Instructions by what is measured, then by function; system calls likewise, by name."""
    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(SECONDS_OF_A_ROUND)
    with Callgrind(build) as weir:
        by_function = weir.costs()
    with Strace(build) as weir:
        calls = weir.costs()
    signal.alarm(0)
    return by_function, {what: rounded(made) for what, made in calls.items()}


def print_functions(by_function, most=25):
    for what, spent in by_function.items():
        print(f"\nWeir's own instructions for a {what}, by function:")
        for name, count in Counter(spent).most_common(most):
            if count >= 1:
                print(f"  {count:9,.1f}  {name}")


def guard(arguments):
    rounds = [measure(arguments.build) for _ in range(3 if arguments.update else 1)]
    by_function, calls = rounds[-1]
    spread = {what: [sum(found[what].values()) for found, _ in rounds] for what in by_function}
    medians = {what: statistics.median(values) for what, values in spread.items()}
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
                   "system_calls": calls}
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
