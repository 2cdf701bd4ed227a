"""A worker that does to the socket it shares what its clients ask for.

GET /shutdown  shuts the listening socket down, for all who share it
GET /filter    has the kernel drop every segment that comes for it
GET /backlog   lets no more than one connection wait
GET /flood     sends notifications without end, from a process of its own
GET /print     prints short lines without end, from a process of its own
Anything else is answered with the generation.
"""

import ctypes
import os
import socket
import struct
import sys

SO_ATTACH_FILTER = 26


def notify(text):
    client = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    client.connect("\0" + os.environ["NOTIFY_SOCKET"][1:])
    client.send(text)
    return client


def drop_everything(listener):
    code = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))
    program = struct.pack("HP", 1, ctypes.addressof(code))
    listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)


def flood(client):
    if os.fork() == 0:
        while True:
            client.send(b"X=1\nREADY=0\nMAINPID=1\nFDSTORE=1")


def print_lines():
    if os.fork() == 0:
        while True:
            os.write(1, b"x\n" * 4096)


def main():
    first = 3
    listeners = [socket.socket(fileno=first + n) for n in range(int(os.environ["LISTEN_FDS"]))]
    listener = listeners[0]
    listener.setblocking(True)
    client = notify(b"READY=1")
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            # Shut down: it is the manager's to mend, and until then nobody comes.
            os.sched_yield()
            continue
        path = connection.recv(4096).split(b" ")[1]
        # Before the answer, so that it is done when the client has that.
        if path == b"/shutdown":
            listener.shutdown(socket.SHUT_RDWR)
        elif path == b"/filter":
            drop_everything(listener)
        elif path == b"/backlog":
            listener.listen(0)
        elif path == b"/flood":
            flood(client)
        elif path == b"/print":
            print_lines()
        body = f"generation={os.environ['SWIFT_SERVE_GENERATION']} pid={os.getpid()}\n"
        answer = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}"
        connection.sendall(answer.encode())
        connection.close()


sys.exit(main())
