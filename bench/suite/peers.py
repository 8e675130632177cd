"""The balancers that are compared, and how each is set up (bench/peers/)."""

import getpass
import os
import platform
import re
import shutil
import string
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from .hosts import OneHost
from .processes import BALANCER_CPU, BOTH_CPUS, ROOT, Started, wait_until_listening

DIRECT = "direct"


@dataclass
class Peer:
    name: str
    template: str
    command: list  # "{conf}" stands for the file made from the template
    values: dict = field(default_factory=dict)

    def missing(self):
        return None if shutil.which(self.command[0]) else f"{self.command[0]} is not there"

    def start(self, directory, listen_port, backend_port, workers=1, second=None, ways=None,
              hosts=OneHost()):
        """With one worker on the first CPU; with more, on both. `second`: another listener's port and its backend's.
        `ways`: by template, what a scenario has set up beside (suite/door.py)."""
        template = string.Template((ROOT / "bench/peers" / self.template).read_text())
        more = string.Template((ROOT / "bench/peers/second" / self.template).read_text() if second else "")
        more = more.substitute(dict(zip(("listen_port", "backend_port"), second or ())))
        conf = directory / self.template
        several = {"master": "on", "reuseport": "reuseport"} if workers > 1 else {"master": "off", "reuseport": ""}
        backend = f"{hosts.server}:{backend_port}"
        beside = {"bind": "", "door": "", "out": "", "stream": "", "to": backend}
        for place, text in (ways or {}).get(self.template, {}).items():
            beside[place] = string.Template(text).safe_substitute(backend=backend, dir=directory)
        conf.write_text(template.safe_substitute(several, **self.values, **beside, workers=workers,
                                                 listen=f"{hosts.listen}:{listen_port}", backend=backend, dir=directory,
                                                 user=getpass.getuser(), second=more))
        cpus = BOTH_CPUS if workers > 1 else {BALANCER_CPU}
        return run_balancer([part.format(conf=conf) for part in self.command], directory, listen_port, cpus)


class run_balancer(Started):
    """A balancer that listens when its block begins."""

    def __init__(self, command, directory, listen_port, cpus, seconds=10):
        self.listen_port = listen_port
        self.said = directory / "stderr"
        self.seconds = seconds
        with open(self.said, "w") as stderr:
            super().__init__(command, cpus, stderr=stderr)

    def __enter__(self):
        try:
            wait_until_listening(self.listen_port, self.process, self.seconds)
        except RuntimeError as error:
            self.__exit__()
            raise RuntimeError(f"{error}: {self.said.read_text().strip()[:400]}") from None
        return self.process


def haproxies(command):
    """As it comes, and told to do what Weir does: each row is compared with whichever is best at it."""
    as_it_comes = {"splice": "", "global": "", "cc": ""}
    large = {"splice": "option splice-auto", "global": "tune.pipesize 1048576\n    tune.bufsize 65536"}
    variants = {"haproxy": {}, "haproxy-splice": {"splice": "option splice-auto"}, "haproxy-large": large,
                "haproxy-busy": {"global": "busy-polling"}}
    version = re.search(r"version (\d+)\.(\d+)", output_of(command[0], "-v"))
    if version and (int(version[1]), int(version[2])) >= (3, 2):
        variants["haproxy-reno"] = {**large, "cc": "cc reno"}
    return [Peer(name, "haproxy.cfg", command, {**as_it_comes, **values}) for name, values in variants.items()]


def peers(build, before=None):
    """`before`: another build of Weir, to be compared with."""
    weir = [str(build / "weir"), "run", "-c", "{conf}"]
    haproxy = ["haproxy", "-db", "-f", "{conf}"]
    nginx = ["nginx", "-c", "{conf}"]
    return [
        Peer("weir", "weir.toml", weir),
        *([Peer("before", "weir.toml", [str(before / "weir"), *weir[1:]])] if before else []),
        *haproxies(haproxy),
        Peer("nginx", "nginx.conf", nginx, {"buffer": "16k"}),
        Peer("nginx-64k", "nginx.conf", nginx, {"buffer": "64k"}),
        Peer(DIRECT, "", ["true"]),
    ]


def postgres_program(name):
    """Debian keeps the server's programs out of the PATH."""
    if found := shutil.which(name):
        return found
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(found[-1]) if found else None


def output_of(*command):
    return subprocess.run(command, capture_output=True, text=True).stdout if shutil.which(command[0]) else ""


def versions(build):
    found = {"kernel": platform.release(), "cpu_count": os.cpu_count(), "cpu": cpu_model()}
    commands = {"weir": [str(build / "weir"), "version"], "haproxy": ["haproxy", "-v"], "nginx": ["nginx", "-v"],
                "wrk": ["wrk", "-v"], "redis": ["redis-server", "--version"], "iperf3": ["iperf3", "--version"],
                "postgresql": [postgres_program("postgres") or "postgres", "--version"],
                "gnuplot": ["gnuplot", "--version"], "valgrind": ["valgrind", "--version"],
                "strace": ["strace", "--version"]}
    for name, command in commands.items():
        if shutil.which(command[0]):
            said = subprocess.run(command, capture_output=True, text=True)
            lines = (said.stdout + said.stderr).strip().splitlines()
            found[name] = lines[0] if lines else "?"
    return found


def cpu_model():
    match = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
    return match[1] if match else platform.machine()
