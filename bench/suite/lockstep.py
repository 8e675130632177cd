"""Both ends of a session in one thread, a step at a time: none begins before Weir has come to rest after the last one.

So Weir wakes up as often, and finds as much, in every run and on every machine. What clients and servers that run
freely make of it is a matter of scheduling: whether two events share a wake-up, how much of a stream one finds."""

import socket
import time
from contextlib import contextmanager
from pathlib import Path

STEP_SECONDS = 20
# One segment on loopback, which is there as a whole when Weir wakes up, and long enough to stay spliced (pump.cpp).
CHUNK = bytes(32 * 1024)
MESSAGE = bytes(64)
# Longer than two reads of Weir's that fill its buffer, by far, since it may read before the buffer is full.
FLOOD_BYTES = 8 * 1024 * 1024


def threads_of(pid):
    """Of each its state and how often and how long it has run."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        state = (task / "stat").read_text().rpartition(")")[2].split()[0]
        found[task.name] = state, (task / "schedstat").read_text()
    return found


def wait_for_rest(pid):
    """Until all threads sleep. One that sleeps in two looks and has not run between them slept all the while, so there
    was a moment in which all did."""
    deadline = time.monotonic() + STEP_SECONDS
    before = None
    while time.monotonic() < deadline:
        now = threads_of(pid)
        if now == before and all(state == "S" for state, _ in now.values()):
            return
        before = now
        time.sleep(0.0002)
    raise RuntimeError(f"Weir did not come to rest within {STEP_SECONDS} s")


def receive(sink, count):
    while count > 0:
        got = len(sink.recv(count))
        if got == 0:
            raise RuntimeError("Weir has ended a session unasked")
        count -= got


def receive_end(sink):
    if sink.recv(1):
        raise RuntimeError("Weir has made bytes up")


class Lockstep:
    """The only backend of a Weir and its only client. Every step ends with its effect at the other end, and with rest:
    the effect alone leaves Weir at work, and rest alone may be the moment before the kernel wakes it."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(STEP_SECONDS)
        self.backend_port = self.listener.getsockname()[1]
        self.pid = self.port = 0

    def close(self):
        self.listener.close()

    def attach(self, pid, port):
        """To a Weir that one connection has been made to and closed, to see whether it listens."""
        self.pid, self.port = pid, port
        backend = self.accept()
        receive_end(backend)
        backend.close()
        wait_for_rest(pid)

    def accept(self):
        return prepared(self.listener.accept()[0])

    def connect(self):
        client = prepared(socket.create_connection(("127.0.0.1", self.port), STEP_SECONDS))
        backend = self.accept()
        wait_for_rest(self.pid)
        return client, backend

    def send(self, source, sink, message):
        source.sendall(message)
        receive(sink, len(message))
        wait_for_rest(self.pid)

    def end(self, client, backend):
        client.shutdown(socket.SHUT_WR)
        receive_end(backend)
        wait_for_rest(self.pid)
        backend.close()
        receive_end(client)
        client.close()
        wait_for_rest(self.pid)

    @contextmanager
    def session(self):
        ends = self.connect()
        yield ends
        self.end(*ends)

    def connections(self, count):
        for _ in range(count):
            with self.session() as (client, backend):
                self.round_trips(client, backend, MESSAGE, 1)

    def round_trips(self, client, backend, message, count):
        for _ in range(count):
            self.send(client, backend, message)
            self.send(backend, client, message)

    def flood(self, source, sink):
        """So much at once that Weir splices from then on. Not in lock-step."""
        source.setblocking(False)
        sent = received = 0
        while received < FLOOD_BYTES:
            try:
                while sent < FLOOD_BYTES:
                    sent += source.send(memoryview(CHUNK)[:FLOOD_BYTES - sent])
            except BlockingIOError:
                pass
            received += len(sink.recv(FLOOD_BYTES))
        source.settimeout(STEP_SECONDS)
        wait_for_rest(self.pid)


def prepared(connection):
    connection.settimeout(STEP_SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection
