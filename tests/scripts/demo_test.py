#!/usr/bin/env -S python3 -B
"""scripts/run: a load that counts what fails, and nothing fails, whatever it suggests to try.
    demo_test.py BUILD_DIR"""
import json
import os
import re
import signal
import socket
import sys

from show import Show, alone, listen, must


def line(show):
    """The newest whole line of the load: sessions, failed, asked again, and how many each server has answered."""
    found = None
    for found in re.finditer(r"^([\d,]+) sessions, ([\d,]+) failed(.*)\n", show.text, re.M):
        pass
    if not found:
        return None
    number = lambda text: int(text.replace(",", ""))
    again = re.search(r"([\d,]+) asked again", found[3])
    servers = {name: number(count) for name, count in re.findall(r"(b\d) ([\d,]+)", found[3])}
    return number(found[1]), number(found[2]), number(again[1]) if again else 0, servers


def counts_on(show):
    before = line(show)[0]
    must(lambda: line(show)[0] >= before + 100, "a hundred sessions more")


def backends(show):
    return {one["name"]: one for one in json.loads(show.weir("status", "-o", "json"))["pools"][0]["backends"]}


def refused(port):
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) != 0


def main():
    alone()
    taken = [listen(8080), listen(9002)]
    with Show(sys.argv[1]) as show:
        show.until_said(r"sessions, 0 failed")
        address = show.said(r"Weir serves 127\.0\.0\.1:(\d+)")
        assert address[1] == "8081", "the next free port"
        counts_on(show)
        must(lambda: len(line(show)[3]) == 3, "all three answer")

        show.weir("drain", "demo/b1")
        must(lambda: backends(show)["b1"]["active"] == 0, "its last session ends")
        counts_on(show)
        drained = line(show)[3]["b1"]
        counts_on(show)
        assert line(show)[3]["b1"] == drained, "a drained server gets nothing"
        show.weir("enable", "demo/b1")

        before = json.loads(show.weir("status", "-o", "json"))["pid"]
        show.weir("upgrade")
        counts_on(show)
        assert json.loads(show.weir("status", "-o", "json"))["pid"] != before
        config = show.folder() / "weir.toml"
        config.write_text(config.read_text().replace('"round_robin"', '"least_connections"'))
        assert "least_connections" in show.weir("reload")
        counts_on(show)
        assert line(show)[1:3] == (0, 0), "nothing was cut so far, not even to be asked again"

        killed = show.pid("b2")
        os.kill(killed, signal.SIGKILL)
        must(lambda: backends(show)["b2"]["health"] == "down", "Weir sees that b2 is dead")
        must(lambda: show.pid("b2") != killed and backends(show)["b2"]["eligible"], "b2 is back")
        counts_on(show)
        assert line(show)[1] == 0, line(show)

        # Somebody's session, in the middle of a request, when Ctrl-C is pressed once.
        mine = socket.create_connection(("127.0.0.1", int(address[1])))
        mine.settimeout(60)
        begun = b"GET / HTTP/1.1\r\nConnection: close\r\n"
        mine.sendall(begun)
        must(lambda: any(one["bytes_to_backend"] == len(begun) for one in
                         json.loads(show.weir("sessions", "-o", "json"))["sessions"]), "my session")
        show.ctrl_c()
        show.until_said("1 sessions are open: they may finish")
        must(lambda: refused(int(address[1])), "no new sessions")
        # Whoever cuts it does so now.
        mine.settimeout(2)
        try:
            raise AssertionError(f"my session has ended: {mine.recv(1)}")
        except TimeoutError:
            mine.settimeout(60)
        mine.sendall(b"\r\n")
        answer = b""
        while piece := mine.recv(4096):
            answer += piece
        assert answer.startswith(b"HTTP/1.1 200 OK") and answer.endswith(b"\n"), answer
        show.ends_with(0)
        assert line(show)[1] == 0, line(show)
        assert not show.folder().exists()
        print(show.text.strip().splitlines()[-2:])
    del taken


main()
