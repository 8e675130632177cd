"""Servers and clients for what is tested from the outside: an echo server, sessions, and a load that counts what fails."""
import contextlib
import socket
import threading
import time

PATIENCE = 60.0


def eventually(condition, what, patience=PATIENCE):
    """Returns what `condition` gives once that is true."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError(f"not within {patience:g} s: {what}")


class EchoServer:
    """Echoes; runs until the process ends."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            client, _ = self.listener.accept()
            threading.Thread(target=self._echo, args=(client,), daemon=True).start()

    @staticmethod
    def _echo(client):
        with client, contextlib.suppress(OSError):
            while data := client.recv(4096):
                client.sendall(data)


class Session:
    """One connection that echoes."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)

    def echoes(self, word):
        self.socket.sendall(word)
        got = b""
        while len(got) < len(word):
            data = self.socket.recv(4096)
            if not data:
                raise ConnectionError("the session has ended")
            got += data
        return got == word

    def close(self):
        self.socket.close()


class Load:
    """Threads that open short sessions one after another, until the end of the `with`."""

    def __init__(self, port, threads=4):
        self.port, self.done, self.failures = port, 0, []
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(threads)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self):
        while not self._stop.is_set():
            failure = None
            try:
                session = Session(self.port)
                if not session.echoes(b"hello"):
                    failure = "another answer"
                session.socket.shutdown(socket.SHUT_WR)
                if session.socket.recv(1):
                    failure = "more than the answer"
                session.close()
            except OSError as error:
                failure = repr(error)
            # A busy machine has others to serve.
            time.sleep(0.02)
            with self._lock:
                if failure:
                    self.failures.append(failure)
                else:
                    self.done += 1

    def goes_on(self, sessions=200):
        """Returns when so many more have been served."""
        wanted = self.done + sessions
        eventually(lambda: self.done >= wanted or self.failures, f"{sessions} more sessions")
