"""A SOCKS5 proxy (RFC 1928 and 1929) of Python's own library: prints its port, then a line per tunnel.

Usage: socks5.py PORT [USER PASSWORD] ["refuse"]
"""

import select
import socket
import socketserver
import struct
import sys

PORT = int(sys.argv[1])
REFUSES = sys.argv[-1] == "refuse"
ACCOUNT = tuple(word.encode() for word in sys.argv[2:4]) if len(sys.argv) >= 4 else None


class Tunnel(socketserver.BaseRequestHandler):
    def read(self, count):
        data = b""
        while len(data) < count:
            more = self.request.recv(count - len(data))
            if not more:
                raise ConnectionError("closed")
            data += more
        return data

    def handle(self):
        version, methods = self.read(2)
        offered = self.read(methods)
        method = 2 if ACCOUNT else 0
        if version != 5 or method not in offered:
            self.request.sendall(b"\x05\xff")
            return
        self.request.sendall(bytes([5, method]))
        if ACCOUNT and not self.known():
            return
        version, command, _, kind = self.read(4)
        if kind == 1:
            host = socket.inet_ntop(socket.AF_INET, self.read(4))
        elif kind == 4:
            host = socket.inet_ntop(socket.AF_INET6, self.read(16))
        else:
            host = self.read(self.read(1)[0]).decode()
        (port,) = struct.unpack(">H", self.read(2))
        if REFUSES or command != 1:
            self.request.sendall(b"\x05\x02\x00\x01" + bytes(6))
            return
        with socket.create_connection((host, port)) as server:
            self.request.sendall(b"\x05\x00\x00\x01" + bytes(6))
            print(f"tunnel {host}:{port}", flush=True)
            self.carry(server)

    def known(self):
        _, length = self.read(2)
        user = self.read(length)
        password = self.read(self.read(1)[0])
        right = (user, password) == ACCOUNT
        self.request.sendall(b"\x01\x00" if right else b"\x01\x01")
        return right

    def carry(self, server):
        other = {self.request: server, server: self.request}
        while True:
            for side in select.select(list(other), [], [])[0]:
                data = side.recv(65536)
                if not data:
                    return
                other[side].sendall(data)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass


with Server(("127.0.0.1", PORT), Tunnel) as server:
    print(server.server_address[1], flush=True)
    server.serve_forever()
