#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""pod_server.py IPV4 IPV6: HTTP and DNS on port 8080 of both addresses of a pod.

GET answers "SERVER CLIENT", both addresses; GET /bulk a million bytes. A DNS query is answered
by the server's own address, whatever it asks for; a datagram that is none, by itself.
"""

import http.server
import ipaddress
import socket
import socketserver
import struct
import sys
import threading

PORT = 8080


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        text = f"{self.server.server_address[0]} {self.client_address[0]}".encode()
        if self.path == "/bulk":
            text = b"x" * 1_000_000
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


def dns_answer(query, address):
    """A or AAAA by the family of `address`, TTL 0; the question is copied as it is."""
    if len(query) < 17 or query[2] & 0x80:
        return query
    end = 12
    while query[end]:
        end += query[end] + 1
    question = query[12 : end + 5]
    kind = 1 if address.version == 4 else 28
    header = query[:2] + struct.pack("!HHHHH", 0x8580, 1, 1, 0, 0)
    record = struct.pack("!HHHIH", 0xC00C, kind, 1, 0, len(address.packed))
    return header + question + record + address.packed


def serve_dns(address):
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    udp = socket.socket(family, socket.SOCK_DGRAM)
    udp.bind((str(address), PORT))
    while True:
        query, client = udp.recvfrom(4096)
        try:
            answer = dns_answer(query, address)
        except IndexError:
            answer = query
        udp.sendto(answer, client)


def serve_http(address):
    class Server(http.server.ThreadingHTTPServer):
        address_family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        # HTTPServer's own asks a resolver for its name, and nobody answers here.
        server_bind = socketserver.TCPServer.server_bind

    return Server((str(address), PORT), Handler)


for word in sys.argv[1:]:
    own = ipaddress.ip_address(word)
    threading.Thread(target=serve_dns, args=[own], daemon=True).start()
    threading.Thread(target=serve_http(own).serve_forever).start()
print("serving", file=sys.stderr, flush=True)
