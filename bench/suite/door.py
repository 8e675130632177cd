"""Who is calling, and may they: what that costs a short connection, and how each balancer is told to do it."""

from .scenarios import PER_OPERATION, Scenario, operations, serve

NAME = "shop.example.org"  # bench/load/preface.h asks for it
CHURN = ("churn", "--concurrency", "50", "--sources", "64", "--reset")

PROXY_IN = {
    "weir.toml": {"door": 'proxy_from = ["127.0.0.0/8"]'},
    "haproxy.cfg": {"bind": "accept-proxy"},
    "nginx.conf": {"bind": "proxy_protocol"},
}

# nginx writes version 1 only.
PROXY_OUT = {
    "weir.toml": {"out": 'send_proxy = "v2"'},
    "haproxy.cfg": {"out": "send-proxy-v2"},
    "nginx.conf": {"door": "proxy_protocol on;"},
}

SNI = {
    "weir.toml": {"door": f'[[listener.route]]\nsni = "{NAME}"\npool = "out"'},
    "haproxy.cfg": {"door": "tcp-request inspect-delay 3s\n    tcp-request content accept if { req.ssl_hello_type 1 }\n"
                            f"    use_backend out if {{ req.ssl_sni -i {NAME} }}"},
    "nginx.conf": {"stream": f"map $ssl_preread_server_name $named {{ {NAME} $backend; default $backend; }}",
                   "door": "ssl_preread on;", "to": "$named"},
}

# Networks that contain no client, and limits that none reaches. HAProxy looks a list of addresses up in a tree; nginx goes
# through its rules one by one, and knows no rate of connections here.
RULES = {
    "weir.toml": {"door": 'deny_file = "$dir/rules"\nsessions_per_client = 10000\nnew_sessions_per_client = "1000000/s"'},
    "haproxy.cfg": {"door": "stick-table type ip size 100k expire 60s store conn_cur,conn_rate(1s)\n"
                            "    tcp-request connection reject if { src -f $dir/rules }\n"
                            "    tcp-request connection track-sc0 src\n"
                            "    tcp-request connection reject if { sc0_conn_cur gt 10000 }\n"
                            "    tcp-request connection reject if { sc0_conn_rate gt 1000000 }"},
    "nginx.conf": {"stream": "limit_conn_zone $binary_remote_addr zone=clients:10m;",
                   "door": "include $dir/rules.nginx;\n        limit_conn clients 10000;"},
}


def write_rules(directory):
    networks = [f"10.{i // 250}.{i % 250}.0/24" for i in range(1000)]
    (directory / "rules").write_text("".join(f"{network}\n" for network in networks))
    (directory / "rules.nginx").write_text("".join(f"deny {network};\n" for network in networks))


def scenarios():
    echo, behind_proxy, behind_hello = (serve("--mode", "echo", *more) for more in
                                        ((), ("--preface", "proxy"), ("--preface", "hello")))

    def one(name, question, server, ways, *preface, **more):
        return Scenario(f"door-{name}", f"CPU for a short connection {question}", server, PER_OPERATION,
                        operations("connections_completed", *CHURN, *preface), ways=ways, **more)
    return [
        one("proxy-in", "that begins with a PROXY v2 header", echo, PROXY_IN, "--preface", "proxy"),
        one("proxy-out", "whose backend gets a PROXY header", behind_proxy, PROXY_OUT),
        one("sni", "whose ClientHello names the backend", behind_hello, SNI, "--preface", "hello"),
        one("rules", "by 1,000 rules and both limits for a client", echo, RULES, prepare=write_rules),
    ]
