#!/usr/bin/env python3
"""Sends requests to a Swift without pause, and counts those that fail.

    load.py URL [--seconds N] [--threads N]

Half of the threads open a new connection for each request, the others keep theirs. Each puts a small
object, gets it back and compares. It ends after N seconds (20 by default), or earlier at SIGTERM or
SIGINT, and then prints

    1234 requests, 0 failed

and under it one line for each kind of failure, with how often it was seen. Exits 1 when anything failed.

Only addresses on this machine are served (127.0.0.0/8).

A server may close a connection on which nothing is under way. A client that meets this when it sends
its next request sends that once more on a new connection, as HTTP/1.1 tells it to (RFC 9112, 9.3.1);
it is counted, in a line of its own, and is no failure.
"""

import argparse
import collections
import http.client
import os
import signal
import sys
import threading
import urllib.parse


class Client(threading.Thread):
    """One client with one connection at a time, and its own counts."""

    def __init__(self, number, address, keep, stop):
        super().__init__()
        self.number, self.address, self.keep, self.stop = number, address, keep, stop
        self.requests = 0
        self.reopened = 0
        self.failures = collections.Counter()
        self.connection = None

    def run(self):
        body = os.urandom(4096)
        turn = 0
        while not self.stop.is_set():
            turn += 1
            path = f"/v1/AUTH_load/load/{self.number}-{turn % 16}"
            # The object is read only when it was written: otherwise one failure would count twice.
            if self.request("PUT", path, body):
                self.request("GET", path, None, expected=body)
        self.close()

    def request(self, method, path, body, expected=None):
        """One request; says whether it went well."""
        self.requests += 1
        try:
            status, answer = self.exchange(method, path, body)
        except (OSError, http.client.HTTPException) as why:
            self.close()
            failure = type(why).__name__
        else:
            if 200 <= status < 300 and (expected is None or answer == expected):
                return True
            failure = str(status) if status >= 300 else "other content"
        self.failures[f"{method} {failure}"] += 1
        # A service that is down answers thousands of times a second; there is nothing to learn from that.
        self.stop.wait(0.05)
        return False

    def exchange(self, method, path, body):
        """Sends one request and reads the answer."""
        if self.connection is not None:
            try:
                return self.send(method, path, body)
            except (ConnectionError, http.client.RemoteDisconnected, BrokenPipeError):
                self.close()
                self.reopened += 1
        self.connection = http.client.HTTPConnection(*self.address, timeout=20)
        return self.send(method, path, body)

    def send(self, method, path, body):
        """One request and its answer on the connection that there is."""
        headers = {} if self.keep else {"Connection": "close"}
        self.connection.request(method, path, body, headers)
        response = self.connection.getresponse()
        answer = response.read()
        if not self.keep or response.will_close:
            self.close()
        return response.status, answer

    def close(self):
        """Closes the connection, if there is one."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None


def main():
    """Runs the clients and prints what they saw."""
    parser = argparse.ArgumentParser(usage="load.py URL [--seconds N] [--threads N]")
    parser.add_argument("url")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--threads", type=int, default=4)
    options = parser.parse_args()
    url = urllib.parse.urlsplit(options.url)
    if not (url.hostname or "").startswith("127."):
        sys.exit(f"load.py: cannot send load to {options.url}: it is not on this machine's loopback")
    address = (url.hostname, url.port)

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())

    maker = Client(0, address, False, stop)
    if not maker.request("PUT", "/v1/AUTH_load/load", b""):
        sys.exit(f"load.py: cannot make a container at {options.url}: {', '.join(maker.failures)}")

    clients = [Client(number, address, number % 2 == 1, stop) for number in range(options.threads)]
    for client in clients:
        client.start()
    # Whoever waits for the load to begin reads this line.
    print(f"{len(clients)} clients at work", flush=True)
    stop.wait(options.seconds)
    stop.set()
    for client in clients:
        client.join()

    failures = sum((client.failures for client in clients), collections.Counter())
    reopened = sum(client.reopened for client in clients)
    print(f"{sum(client.requests for client in clients)} requests, {sum(failures.values())} failed")
    for kind, count in failures.most_common():
        print(f"  {count} x {kind}")
    if reopened:
        print(f"  {reopened} x idle connection closed by the server, opened anew")
    sys.exit(1 if failures else 0)


main()
