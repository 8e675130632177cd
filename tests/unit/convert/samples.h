#pragma once

#include <string_view>

namespace weir::test {

/// A configuration of another balancer in the style of those that its documents and tutorials show, written
/// for these tests.
struct Sample {
  std::string_view name, text;
};

inline constexpr Sample kSamples[] = {
    {"haproxy-databases.cfg", R"cfg(
global
    log /dev/log local0
    chroot /var/lib/haproxy
    user haproxy
    group haproxy
    daemon
    maxconn 4000
    stats socket /run/haproxy/admin.sock mode 660 level admin
defaults
    log global
    mode tcp
    option tcplog
    option dontlognull
    retries 3
    timeout connect 5s
    timeout client 30m
    timeout server 30m
    timeout check 5s
    errorfile 400 /etc/haproxy/errors/400.http
listen stats
    mode http
    bind *:7000
    stats enable
    stats uri /
    stats refresh 10s
    stats auth admin:secret
listen primary
    bind *:5000
    option httpchk OPTIONS /primary
    http-check expect status 200
    default-server inter 3s fall 3 rise 2 on-marked-down shutdown-sessions
    server pg1 10.0.0.11:5432 maxconn 100 check port 8008
    server pg2 10.0.0.12:5432 maxconn 100 check port 8008
listen galera
    bind 10.0.0.1:3306
    balance leastconn
    option mysql-check user haproxy_check
    server db1 10.0.0.21:3306 check weight 1
    server db2 10.0.0.22:3306 check backup
    server db3 10.0.0.23:3306 check backup
listen redis
    bind *:6379
    option tcp-check
    tcp-check connect
    tcp-check send PING\r\n
    tcp-check expect string +PONG
    tcp-check send info\ replication\r\n
    tcp-check expect string role:master
    tcp-check send QUIT\r\n
    tcp-check expect string +OK
    server r1 10.0.0.31:6379 check inter 1s
    server r2 10.0.0.32:6379 check inter 1s
)cfg"},
    {"haproxy-tls.cfg", R"cfg(
defaults tcp
    mode tcp
    timeout connect 4s
    timeout client 50s
    timeout server 50s
defaults web from tcp
    mode http
    option httplog
    option forwardfor
frontend ft_tls from tcp
    bind :::443 v4v6
    bind :8443 accept-proxy
    tcp-request inspect-delay 5s
    tcp-request content accept if { req_ssl_hello_type 1 }
    tcp-request content reject
    acl internal src 10.0.0.0/8 192.168.1.1/16
    use_backend acme if { req.ssl_alpn acme-tls/1 }
    use_backend admin if { req_ssl_sni -i admin.example.com } internal
    use_backend api if { req.ssl_sni -m beg api } || { req.ssl_sni api.example.com }
    use_backend wild if { req.ssl_sni -m end .example.org }
    use_backend dynamic-%[req.ssl_sni] if { req.ssl_sni -m found }
    default_backend web
frontend ft_http from web
    bind *:80
    http-request redirect scheme https unless { ssl_fc }
backend acme from tcp
    server a 127.0.0.1:9443
backend api from tcp
    server api1 api.example.com:443
backend admin from tcp
    server adm 10.0.1.1:443 check ssl verify none
backend wild from tcp
    balance source
    hash-type consistent
    hash-balance-factor 150
    option ssl-hello-chk
    server w1 10.0.2.1:443 check send-proxy-v2
    server w2 10.0.2.2:443 check
backend web from tcp
    option httpchk HEAD /healthz HTTP/1.1\r\nHost:\ www.example.com
    http-check expect string OK
    server web1 web1.example.com:443 check check-ssl verify none resolvers dns init-addr none
    server web2 10.0.3.2:443 check check-ssl verify none addr 10.0.3.200 port 8443 observe layer4 error-limit 10
resolvers dns
    nameserver ns1 10.0.0.53:53
)cfg"},
    {"haproxy-limits.cfg", R"cfg(
global
    external-check
    insecure-fork-wanted
defaults
    mode tcp
    timeout connect 3s
    timeout client 1m
    timeout server 2m
    timeout client-fin 20s
peers mypeers
    peer one 10.0.0.1:1024
frontend ssh
    bind 0.0.0.0:22 name ssh
    maxconn 500
    rate-limit sessions 200
    stick-table type ip size 100k expire 30s store conn_cur,conn_rate(10s)
    tcp-request connection accept if { src 10.0.0.0/8 }
    tcp-request connection reject if { src_conn_cur ge 10 }
    tcp-request connection reject if { src_conn_rate gt 20 }
    tcp-request connection track-sc0 src
    default_backend ssh_servers
frontend private
    bind unix@/run/private.sock mode 660
    bind 10.0.0.5:2222
    acl office src 192.0.2.0/24 2001:db8::/32
    acl banned src 192.0.2.66
    tcp-request connection reject if banned
    tcp-request connection reject unless office
    default_backend ssh_servers
backend ssh_servers
    balance source
    option external-check
    external-check path "/usr/bin:/bin"
    external-check command /bin/true
    source 10.0.0.5
    server s1 10.0.4.1:22 check maxconn 20 maxqueue 10 slowstart 10s
    server s2 10.0.4.2:22 check
    server s3 10.0.4.3:22 check agent-check agent-port 8888 agent-inter 5s
backend mail
    option smtpchk EHLO lb.example.com
    server-template mx 1-3 mx.example.com:25 check
    server m4 10.0.5.4:25 check disabled
    server m4 10.0.5.5:25 check
frontend smtp
    bind *:25,:587
    use_backend mail
backend pg
    option pgsql-check user checker
    option httpchk
    http-check send meth GET uri /ready ver HTTP/1.1 hdr Host pg.example.com hdr X-Check 1
    http-check expect rstatus ^[23]
    server p1 10.0.6.1:5432 check port 8008
frontend pg_in
    bind :5432
    default_backend pg
backend bytes
    option tcp-check
    tcp-check send-binary 00ff0d0a
    tcp-check expect binary 00ff
    server b1 10.0.7.1:7000 check
    dispatch 10.0.7.9:7000
listen many
    bind :8000-8010
    server m 10.0.8.1 check
)cfg"},
    {"nginx-stream.conf", R"cfg(
user nginx;
worker_processes auto;
error_log /var/log/nginx/error.log warn;
load_module modules/ngx_stream_module.so;
include /etc/nginx/modules-enabled/*.conf;
events { worker_connections 1024; }
stream {
  log_format basic '$remote_addr [$time_local] $protocol $status';
  access_log /var/log/nginx/stream.log basic;
  limit_conn_zone $binary_remote_addr zone=addr:10m;
  limit_conn_zone $server_name zone=names:1m;
  include /etc/nginx/stream.d/*.conf;
  upstream db {
    hash $remote_addr consistent;
    zone db 64k;
    server 10.0.0.1:3306 weight=5;
    server 10.0.0.2:3306 max_fails=3 fail_timeout=30s max_conns=100;
    server unix:/var/lib/mysql/mysql.sock backup;
    server 10.0.0.3:3306 down;
    server db4.example.com:3306 resolve;
  }
  upstream dns { server 10.0.0.53:53; }
  upstream spare { least_conn; server 10.0.0.9:99; server 10.0.0.9:99; }
  server {
    listen 127.0.0.1:3306 so_keepalive=on;
    proxy_connect_timeout 1s;
    proxy_timeout 3s;
    limit_conn addr 10;
    proxy_pass db;
  }
  server {
    listen 3307 proxy_protocol;
    listen 3308;
    set_real_ip_from 10.1.0.0/16;
    proxy_protocol on;
    proxy_pass db;
    deny 192.168.1.1;
    allow 192.168.1.0/24;
    allow 10.1.1.0/16;
    deny all;
  }
  server { listen 53 udp reuseport; listen 53; proxy_timeout 20s; proxy_pass dns; }
  server { listen 54 udp; proxy_pass dns; }
  server { listen [::1]:12345; proxy_pass unix:/tmp/stream.socket; }
  server { listen 8080; return "it works\n"; }
  server { listen 10000-10010; proxy_pass 10.0.0.1:$server_port; }
  server { listen 8081; proxy_pass $unknown; }
}
http { server { listen 80; } }
)cfg"},
    {"nginx-preread.conf", R"cfg(
stream {
  map $ssl_preread_server_name $name {
    hostnames;
    *.example.com wild;
    www.example.com 10.0.1.1:443;
    .db.example.com db;
    mail.* mail;
    ~^x(\d+)\.example\.org$ x;
    "" plain;
    default plain;
  }
  map $ssl_preread_alpn_protocols $proxy {
    ~\bh2\b 127.0.0.1:8001;
    ~\bhttp/1.1\b 127.0.0.1:8002;
    ~\bxmpp-client\b 127.0.0.1:8003;
    default 127.0.0.1:8001;
  }
  map $ssl_preread_protocol $upstream { "" ssh; "TLSv1.2" wild; default wild; }
  geo $country { default plain; 10.0.0.0/8 wild; 10.1.0.0/16 db; }
  split_clients "${remote_addr}AAA" $half { 50% wild; * plain; }
  upstream wild { random two least_conn; server 10.0.2.1:443; server 10.0.2.2:443; }
  upstream plain { zone z 64k; server 10.0.3.1:80; }
  upstream db { server 10.0.4.1:5432; }
  match redis { send "PING\r\n"; expect "+PONG"; }
  server { listen 443; listen [::]:443; ssl_preread on; proxy_pass $name; }
  server { listen 9443 ssl; ssl_certificate /etc/x.pem; ssl_preread on; proxy_pass $proxy; }
  server { listen 7443; ssl_preread on; proxy_pass $upstream; }
  server { listen 7444; proxy_pass $country; health_check interval=10 passes=2 fails=3 port=8080 match=redis; }
  server { listen 7445; proxy_pass $half; }
  server { listen 7446; proxy_ssl on; proxy_ssl_verify on; proxy_bind $remote_addr transparent; proxy_pass db; }
}
)cfg"},
};

}  // namespace weir::test
