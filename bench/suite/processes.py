"""Processes that end with their block, and what they have cost so far."""

import os
import re
import socket
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BALANCER_CPU, LOAD_CPU = 0, 1
QUIET = 1  # below this load average
BOTH_CPUS = {BALANCER_CPU, LOAD_CPU}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_listening(port, process, seconds=10):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args[0]} ended at once (status {process.returncode})")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    raise RuntimeError(f"{process.args[0]} does not listen on port {port}")


class Started:
    """A process on the given CPUs that ends with its block. `first`: what else it does before it begins."""

    def __init__(self, command, cpus, first=lambda: None, **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.DEVNULL)
        self.process = subprocess.Popen(command, preexec_fn=lambda: (os.sched_setaffinity(0, cpus), first()), **options)

    def __enter__(self):
        return self.process

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def family(pid):
    """The process and its descendants."""
    pids = [pid]
    for at in pids:
        for task in Path(f"/proc/{at}/task").glob("*/children"):
            try:
                pids += [int(child) for child in task.read_text().split()]
            except OSError:
                pass  # has just ended
    return pids


def cpu_seconds(pid):
    """Of all threads of the process and its descendants, from the scheduler's nanoseconds."""
    total = 0
    for at in family(pid):
        for task in Path(f"/proc/{at}/task").glob("*/schedstat"):
            try:
                total += int(task.read_text().split()[0])
            except OSError:
                pass
    return total / 1e9


def system_busy_seconds():
    """Of all CPUs and everybody, interrupts included."""
    ticks = [int(n) for n in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    idle = ticks[3] + ticks[4] + ticks[7]  # idle, iowait, steal
    return (sum(ticks) - idle) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid):
    """Of the process and its descendants."""
    total = 0
    for at in family(pid):
        match = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{at}/status").read_text())
        total += int(match[1]) * 1024 if match else 0
    return total


def is_quiet():
    """What is measured now is not somebody else's work."""
    return os.getloadavg()[0] < QUIET


def run(command, **options):
    """The output; a RuntimeError that says what was wrong."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, **options)
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip())[-400:]
        raise RuntimeError(f"{Path(command[0]).name}: status {done.returncode}: {said}")
    return done.stdout
