"""Real clients and servers through each balancer: what users of a balancer run behind it."""

import csv
import io
import json
import os
import re
import shutil
import subprocess
import time

from .peers import postgres_program
from .processes import Started, run
from .scenarios import Listening, Metric, PER_GB, Scenario, costs, per

OURS = ("balancer", "system")  # what the client took is not known
PER_REQUEST = costs("us", "µs", OURS) + [Metric("per_second", "/s", lower_is_better=False)]


def needs(*programs):
    def missing():
        absent = [name for name in programs if not shutil.which(name)]
        return f"{', '.join(absent)} not there" if absent else None
    return missing


def on(cpus):
    return lambda: os.sched_setaffinity(0, cpus)



# --- wrk and nginx ---------------------------------------------------------------------------------------------------

NGINX_SITE = """daemon off; master_process off; pid {dir}/site.pid; error_log stderr crit;
events {{ worker_connections 4096; }}
http {{ access_log off; keepalive_requests 1000000000;
  client_body_temp_path {dir}; proxy_temp_path {dir}; fastcgi_temp_path {dir}; uwsgi_temp_path {dir};
  scgi_temp_path {dir};
  server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ return 200 "{body}"; }} }} }}
"""


def nginx_site(context, directory, port):
    conf = directory / "site.conf"
    conf.write_text(NGINX_SITE.format(dir=directory, port=port, body="x" * 612))
    return Listening(["nginx", "-p", str(directory), "-c", str(conf)], port, context.load_cpus())


def wrk(*headers):
    def measure(context):
        command = ["wrk", "-t1", "-c50", f"-d{max(1, round(context.seconds))}s", *headers,
                   f"http://127.0.0.1:{context.port}/"]
        said, cpu = context.costs_of(lambda: {"text": run(command, preexec_fn=on(context.load_cpus()))})
        text = said["text"]
        done = re.search(r"(\d+) requests in", text)
        rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
        wrong = re.search(r"(Socket errors:.*|Non-2xx.*)", text)
        if not done or not rate or wrong:
            raise RuntimeError(f"wrk: {wrong[1] if wrong else text.strip()}")
        return {**per(int(done[1]), cpu, "us", 1e6, OURS), "per_second": float(rate[1])}
    return measure


# --- redis -----------------------------------------------------------------------------------------------------------

def redis(context, directory, port):
    return Listening(["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
                      "--dir", str(directory)], port, context.load_cpus())


def redis_benchmark(context):
    """GETs of 50 clients, in batches until the time is over: redis-benchmark counts requests, not seconds."""
    command = ["redis-benchmark", "-h", "127.0.0.1", "-p", str(context.port), "-t", "get", "-c", "50", "--csv", "-n"]
    batch = 2000

    def until_time_is_over():
        began, done = time.monotonic(), 0
        while time.monotonic() < began + context.seconds:
            run([*command, str(batch)], preexec_fn=on(context.load_cpus()))
            done += batch
        return {"done": done, "seconds": time.monotonic() - began}

    rows = csv.reader(io.StringIO(run([*command, str(batch)], preexec_fn=on(context.load_cpus()))))
    rate = float(next(row for row in rows if row and row[0] == "GET")[1])
    batch = max(batch, int(rate * context.seconds / 2))
    report, cpu = context.costs_of(until_time_is_over)
    return {**per(report["done"], cpu, "us", 1e6, OURS), "per_second": report["done"] / report["seconds"]}


# --- iperf3 ----------------------------------------------------------------------------------------------------------

def iperf3_server(context, directory, port):
    return Listening(["iperf3", "-s", "-B", "127.0.0.1", "-p", str(port)], port, context.load_cpus())


def iperf3(*direction):
    def measure(context):
        command = ["iperf3", "-c", "127.0.0.1", "-p", str(context.port), "-P", "4", "-J", "-t",
                   str(max(1, round(context.seconds))), *direction]
        # The server takes a client at a time, and needs a moment after the one that looked whether it listens.
        time.sleep(0.3)
        report, cpu = context.costs_of(lambda: json.loads(run(command, preexec_fn=on(context.load_cpus()))))
        received = report["end"]["sum_received"]
        gigabytes = received["bytes"] / 1e9
        return {**per(gigabytes, cpu, "s_per_gb", 1, OURS), "gb_per_second": gigabytes / received["seconds"]}
    return measure


# --- pgbench and PostgreSQL ------------------------------------------------------------------------------------------

class PostgresCluster(Started):
    """A private cluster in a directory of its own, run by an ordinary user: PostgreSQL refuses root."""

    def __init__(self, context, directory, port):
        self.port = port
        home = directory / "pg"
        home.mkdir()
        directory.chmod(0o711)
        as_user = []
        if os.geteuid() == 0:
            shutil.chown(home, "nobody")
            as_user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        environment = {**os.environ, "HOME": str(home), "LC_ALL": "C"}
        run([*as_user, postgres_program("initdb"), "-D", str(home / "data"), "-U", "weir", "-A", "trust", "-N"],
            env=environment, cwd=home)
        super().__init__([*as_user, postgres_program("postgres"), "-D", str(home / "data"), "-p", str(port), "-k", "",
                          "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "max_connections=40"],
                         context.load_cpus(), stderr=subprocess.DEVNULL, env=environment, cwd=home)

    def __enter__(self):
        try:
            deadline = time.monotonic() + 30
            ready = [postgres_program("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
            while subprocess.run(ready).returncode != 0:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError("the private PostgreSQL cluster does not come up")
                time.sleep(0.1)
            run([postgres_program("pgbench"), "-i", "-q", "-h", "127.0.0.1", "-p", str(self.port), "-U", "weir",
                 "postgres"])
        except RuntimeError:
            self.__exit__()
            raise
        return self.process


def postgres_missing():
    absent = [name for name in ("initdb", "postgres", "pg_isready", "pgbench") if not postgres_program(name)]
    if absent:
        return f"{', '.join(absent)} not there"
    if os.geteuid() == 0 and not shutil.which("setpriv"):
        return "PostgreSQL refuses to run as root, and there is no setpriv"
    return None


def pgbench(context):
    command = [postgres_program("pgbench"), "-S", "-n", "-c", "8", "-j", "1", "-T",
               str(max(1, round(context.seconds))), "-h", "127.0.0.1", "-p", str(context.port), "-U", "weir",
               "postgres"]
    said, cpu = context.costs_of(lambda: {"text": run(command, preexec_fn=on(context.load_cpus()))})
    done = re.search(r"transactions actually processed: (\d+)", said["text"])
    rate = re.search(r"tps = ([\d.]+)", said["text"])
    return {**per(int(done[1]), cpu, "us", 1e6, OURS), "per_second": float(rate[1])}


def real_suites():
    gigabytes = [metric for metric in PER_GB[::-1] if not metric.name.startswith("all_")]
    return [
        Scenario("wrk-keepalive", "HTTP requests of 50 wrk connections to nginx", nginx_site, PER_REQUEST, wrk(),
                 missing=needs("wrk", "nginx")),
        Scenario("wrk-close", "HTTP requests of wrk to nginx, a connection for each", nginx_site, PER_REQUEST,
                 wrk("-H", "Connection: close"), missing=needs("wrk", "nginx")),
        Scenario("redis", "GETs of 50 redis-benchmark clients to redis", redis, PER_REQUEST, redis_benchmark,
                 missing=needs("redis-server", "redis-benchmark")),
        Scenario("iperf3-up", "4 iperf3 streams, up", iperf3_server, gigabytes, iperf3(), missing=needs("iperf3")),
        Scenario("iperf3-down", "4 iperf3 streams, down", iperf3_server, gigabytes, iperf3("-R"),
                 missing=needs("iperf3")),
        Scenario("pgbench", "transactions of pgbench -S, 8 clients, to PostgreSQL", PostgresCluster, PER_REQUEST,
                 pgbench, missing=postgres_missing),
    ]
