"""Configurations with many backends, for the scale measurements. One server on 0.0.0.0 is all of them: 127.x.y.z."""

import getpass
from dataclasses import dataclass

from .peers import run_balancer
from .processes import BALANCER_CPU

WEIR_BALANCE = ("round_robin", "least_connections", "source_hash")
HAPROXY_BALANCE = ("roundrobin", "leastconn", "source")
NGINX_BALANCE = {"round_robin": "", "least_conn": "least_conn;", "hash": "hash $remote_addr consistent;"}


@dataclass
class Kind:
    """One balancer with one way of choosing."""
    balancer: str
    balance: str

    @property
    def name(self):
        return f"{self.balancer} {self.balance}"


def kinds():
    return ([Kind("weir", balance) for balance in WEIR_BALANCE] + [Kind("haproxy", b) for b in HAPROXY_BALANCE]
            + [Kind("nginx", balance) for balance in NGINX_BALANCE])


def addresses(count, port):
    return [f"127.{1 + i // 62500}.{i // 250 % 250}.{1 + i % 250}:{port}" for i in range(count)]


def weir_conf(balance, backends, listen_port, probes):
    pool = "\n".join(f'[[pool.backend]]\naddress = "{address}"' for address in backends)
    health = 'probe = "tcp"\ninterval = "1s"\ntimeout = "1s"' if probes else 'probe = "none"'
    return f"""workers = 1
state_file = ""
[admin]
socket = ""
[log]
level = "warn"
access = "off"
[[listener]]
name = "in"
bind = "127.0.0.1:{listen_port}"
pool = "out"
[[pool]]
name = "out"
balance = "{balance}"
connect_timeout = "5s"
idle_timeout = "5m"
[pool.health]
{health}
{pool}
"""


def haproxy_conf(balance, backends, listen_port, probes):
    check = " check inter 1s" if probes else ""
    servers = "\n".join(f"    server b{i} {address}{check}" for i, address in enumerate(backends))
    return f"""global
    nbthread 1
    maxconn 8500
defaults
    mode tcp
    timeout connect 5s
    timeout client 5m
    timeout server 5m
frontend in
    bind 127.0.0.1:{listen_port} backlog 4096
    default_backend out
backend out
    balance {balance}
{servers}
"""


def nginx_conf(balance, backends, listen_port, directory):
    servers = "\n".join(f"        server {address};" for address in backends)
    return f"""load_module modules/ngx_stream_module.so;
user {getpass.getuser()};
daemon off;
master_process off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid {directory}/nginx.pid;
error_log stderr error;
events {{ worker_connections 18000; multi_accept on; accept_mutex off; }}
stream {{
    access_log off;
    proxy_connect_timeout 5s;
    proxy_timeout 5m;
    upstream out {{
        {NGINX_BALANCE[balance]}
{servers}
    }}
    server {{ listen 127.0.0.1:{listen_port} backlog=4096; proxy_pass out; }}
}}
"""


def start(kind, build, directory, listen_port, backends, probes=False):
    """A balancer of one worker in front of these backends, without probes unless asked for."""
    if kind.balancer == "weir":
        text, command = weir_conf(kind.balance, backends, listen_port, probes), [str(build / "weir"), "run", "-c"]
    elif kind.balancer == "haproxy":
        text, command = haproxy_conf(kind.balance, backends, listen_port, probes), ["haproxy", "-db", "-f"]
    else:
        text, command = nginx_conf(kind.balance, backends, listen_port, directory), ["nginx", "-c"]
    conf = directory / f"{kind.balancer}.conf"
    conf.write_text(text)
    return run_balancer([*command, str(conf)], directory, listen_port, {BALANCER_CPU}, 60)
