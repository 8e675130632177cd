"""Where clients, the balancer and the servers are: on this host's loopback, or on hosts of their own, which are network
namespaces."""

import ctypes
import os
import subprocess
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass

from .processes import LOAD_CPU, Started, run

CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


def enter(space):
    if LIBC.setns(space, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class OneHost:
    """All on loopback."""
    balancer = server = listen = "127.0.0.1"

    @staticmethod
    def at(_name):
        return nullcontext()


@dataclass
class Path:
    """From the clients to the balancer. The servers are beyond a veth pair of the same MTU, without a delay."""
    delay_ms: int = 0
    mtu: int = 1500
    congestion: str = None  # of all three hosts; None: this host's

    def hosts(self, load):
        return Hosts(load, self)


class Hosts:
    """Three namespaces for the length of a block, joined by veth pairs, or by a wire with a delay (weir-bench wire: many
    kernels have no netem). What is started within at(NAME) is on that host."""

    NAMES = ("client", "balancer", "server")
    balancer, server, listen = "10.77.1.2", "10.77.2.2", "0.0.0.0"

    def __init__(self, load, path):
        self.load, self.path = load, path
        self.stack = ExitStack()
        self.space = {name: f"weir-bench-{os.getpid()}-{name}" for name in self.NAMES}

    def __enter__(self):
        with self.stack:  # undone when something fails
            self.home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            self.stack.callback(os.close, self.home)
            self.file = {}
            for name, space in self.space.items():
                run(["ip", "netns", "add", space])
                self.stack.callback(run, ["ip", "netns", "delete", space])
                self.file[name] = os.open(f"/run/netns/{space}", os.O_RDONLY | os.O_CLOEXEC)
                self.stack.callback(os.close, self.file[name])
                self.ip(name, "link", "set", "lo", "up")
                if self.path.congestion:
                    run(["ip", "netns", "exec", space, "sysctl", "-qw",
                         f"net.ipv4.tcp_congestion_control={self.path.congestion}"])
            if self.path.delay_ms:
                self.wire()
            else:
                self.veth("client", "balancer", "10.77.1")
            self.veth("balancer", "server", "10.77.2")
            self.stack = self.stack.pop_all()
        return self

    def __exit__(self, *_):
        self.stack.close()

    def ip(self, name, *arguments):
        run(["ip", "-n", self.space[name], *arguments])

    def up(self, name, device, address):
        self.ip(name, "link", "set", device, "mtu", str(self.path.mtu), "txqueuelen", "10000", "up")
        self.ip(name, "address", "add", f"{address}/24", "dev", device)

    def veth(self, one, other, network):
        run(["ip", "link", "add", f"to-{other}", "netns", self.space[one], "type", "veth", "peer", "name", f"to-{one}",
             "netns", self.space[other]])
        self.up(one, f"to-{other}", f"{network}.1")
        self.up(other, f"to-{one}", f"{network}.2")

    def wire(self):
        command = [self.load, "wire", "--near", f"/run/netns/{self.space['client']}", "--far",
                   f"/run/netns/{self.space['balancer']}", "--delay", f"{self.path.delay_ms}ms"]
        process = self.stack.enter_context(Started(command, {LOAD_CPU}, stdout=subprocess.PIPE, text=True))
        if process.stdout.readline() != "wire\n":
            raise RuntimeError("weir-bench wire does not start")
        self.up("client", "wire0", "10.77.1.1")
        self.up("balancer", "wire0", "10.77.1.2")

    @contextmanager
    def at(self, name):
        enter(self.file[name])
        try:
            yield
        finally:
            enter(self.home)
