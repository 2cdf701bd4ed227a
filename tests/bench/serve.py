"""Plays swift-serve beside nginx, HAProxy and gunicorn: reloads under load, a broken config, a dead manager.

usage: serve.py [options] --tools DIRECTORY --gunicorn PROGRAM

All are up at the same time, on loopback in namespaces of their own, which end with the run. In each round,
one after the other is reloaded under load and then loaded for as long without reloads. Compare what one run
says, never two. `make bench-serve` runs it; README.md beside it says what is measured.
"""
import argparse
import collections
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

import peers

HERE = os.path.dirname(os.path.abspath(__file__))
PORT, NEW, KEPT = 8080, 8, 8
# Between two reloads, so that the old generation can leave.
PAUSE = 0.4
# The longest that an answer of a new generation, or any answer at all, is awaited.
PATIENCE = 30
# Seconds that a dead manager stays dead.
DEAD = 1
MEASURED = ['answered', 'lost', 'raced', 'gap', 'p50', 'p99']

Row = collections.namedtuple('Row', 'peer reloading quiet first last before after')


class Load:
    """Clients that never pause, until the end of `with`; then their counts."""

    def __init__(self, program, port):
        self.command = [program, str(port), str(NEW), str(KEPT)]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.counts = json.loads(self.process.stdout.read())
        self.counts['lost'] = sum(self.counts[kind] for kind in ('refused', 'reset', 'other'))
        self.process.wait()


def answer(port):
    """The text that answers right now; none where there is no answer."""
    try:
        with socket.create_connection(('127.0.0.1', port), 5) as connection:
            connection.sendall(b'GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n')
            read = b''.join(iter(lambda: connection.recv(4096), b''))
        return int(read.rpartition(b'\r\n\r\n')[2])
    except (OSError, ValueError):
        return None


def awaits(port, text):
    """Waits for an answer with this text; says whether it came."""
    end = time.monotonic() + PATIENCE
    while answer(port) != text:
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def memory_and_descriptors(pid):
    with open(f'/proc/{pid}/status') as file:
        kib = next(int(line.split()[1]) for line in file if line.startswith('VmRSS:'))
    return kib / 1024, len(os.listdir(f'/proc/{pid}/fd'))


def play_round(load, row):
    """A round of one peer: reloads under load, then as much time without."""
    peer, signalled = row.peer, {}
    begun = time.monotonic()
    with Load(load, peer.port) as reloading:
        time.sleep(PAUSE)
        for _ in range(peer.reloads):
            text = peer.next()
            signalled[text] = time.monotonic_ns() // 1000
            peer.reload()
            if not awaits(peer.port, text):
                sys.exit(f'{peer.name}: no answer after a reload: {peer.path("log")}')
            time.sleep(PAUSE)
    took = time.monotonic() - begun
    with Load(load, peer.port) as quiet:
        time.sleep(took)
    row.reloading.append(reloading.counts)
    row.quiet.append(quiet.counts)
    for text, at in signalled.items():
        times = reloading.counts['texts']
        # A client of the load may have been slower than the driver's own.
        if str(text) in times and str(text - 1) in times:
            row.first.append((times[str(text)][0] - at) / 1000)
            row.last.append((times[str(text - 1)][1] - at) / 1000)


def break_it(peer):
    """Reloads with a broken config, and words what comes of it."""
    serving = peer.text
    peer.configure('broken')
    status = peer.reload_as_documented()
    time.sleep(3)
    serves = {answer(peer.port) for _ in range(10)}
    peer.configure(str(serving))
    if serves == {serving}:
        return f'exit {status}, serves on'
    return f'exit {status}, ' + ('fails some requests' if serving in serves else 'serves nothing')


def kill(load, peer):
    """Kills the manager under load and starts it again: the requests lost, the gap, the outcome."""
    if answer(peer.port) is None:
        peer.start()
        if not awaits(peer.port, peer.text):
            return 'does not start again'
    text = peer.next()
    with Load(load, peer.port) as under:
        time.sleep(PAUSE)
        peer.process.kill()
        peer.process.wait()
        time.sleep(DEAD)
        peer.start()
        is_back = awaits(peer.port, text)
        time.sleep(PAUSE)
    lost, gap = under.counts['lost'], under.counts['gap'] / 1e6
    if is_back:
        return f'{lost} lost, {gap:.1f} s without an answer' if lost else 'none lost; the start takes over'
    return f'{lost} lost; the start fails'


def table(heads, rows):
    print('\n| ' + ' | '.join(heads) + ' |\n|' + '---|' * len(heads))
    for row in rows:
        print('| ' + ' | '.join(row) + ' |')


def middle(counts, what):
    return statistics.median(one[what] for one in counts)


def cells(row):
    total = {what: sum(one[what] for one in row.reloading) for what in ('answered', 'lost', 'raced')}
    (_, before), (mib, after) = row.before, row.after
    ms = {f'{kind} {what}': f'{middle(counts, what) / 1000:.1f}' for kind, counts
          in (('quiet', row.quiet), ('reloading', row.reloading)) for what in ('gap', 'p50', 'p99')}
    pairs = [f'{ms["quiet " + what]} / {ms["reloading " + what]}' for what in ('gap', 'p50', 'p99')]
    return [row.peer.label(), f'{total["answered"]:,}', str(total['lost']),
            str(total['raced']), *pairs, f'{statistics.median(row.first):.1f}',
            f'{statistics.median(row.last):.0f}', f'{mib:.1f}', f'{before} / {after}']


def compare(rows):
    """Prints how swift-serve stands to nginx, and says whether it has lost a request."""
    by = {type(row.peer).__name__: row for row in rows}
    ours, nginx = by['Serve'], by.get('Nginx')
    gap = middle(ours.reloading, 'gap') / middle(ours.quiet, 'gap')
    print(f'\nswift-serve with the C worker: the longest gap in reloads is {gap:.1f} times that without', end='')
    if nginx:
        first = statistics.median(ours.first) / statistics.median(nginx.first)
        p99 = middle(ours.reloading, 'p99') / middle(nginx.reloading, 'p99')
        print(f'; beside nginx, the first new answer takes {first:.1f} times as long, p99 is {p99:.1f} times'
              ' as high', end='')
    print()
    return not any(one['lost'] for row in rows if isinstance(row.peer, peers.Serve) for one in row.reloading)


def inside(tools, rounds):
    """The first process of the namespaces: everything ends with it."""
    subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)
    top = os.path.dirname(tools['load'])
    rows = []
    for number, kind in enumerate(peers.ALL):
        peer = kind(tools, top, PORT + number)
        if missing := peer.lacks():
            print(f'not played without {missing}: {peer.name}', file=sys.stderr)
            continue
        peer.next()
        peer.start()
        if not awaits(peer.port, peer.text):
            with open(peer.path('log')) as log:
                sys.exit(f'{peer.name}: no answer after its start: {log.read()[-2000:]}')
        before = memory_and_descriptors(peer.process.pid)
        rows.append(Row(peer, [], [], [], [], before, None))
    for _ in range(rounds):
        for row in rows:
            play_round(tools['load'], row)
    time.sleep(2)  # The last old generation leaves.
    rows = [row._replace(after=memory_and_descriptors(row.peer.process.pid)) for row in rows]
    reloads = ' and '.join(sorted({str(len(row.first)) for row in rows}, key=int, reverse=True))
    print(f'{reloads} reloads of each under {NEW} clients with a new connection for each request and {KEPT}'
          f' that keep theirs, in {rounds} rounds ({os.cpu_count()} processors). Times are milliseconds: without'
          ' reloads / with them, medians of the rounds.')
    table(['', 'answered', 'lost', 'raced', 'longest gap', 'p50', 'p99', 'first new', 'last old',
           'MiB of the manager', 'its descriptors'], map(cells, rows))
    outcomes = [(row.peer.label(), break_it(row.peer), kill(tools['load'], row.peer)) for row in rows]
    table(['', 'reload with a broken config', f'SIGKILL of the manager, a start {DEAD} s later'], outcomes)
    return 0 if compare(rows) else 1


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument('--tools', help='where swift-serve and swift-reload are')
    parser.add_argument('--gunicorn', default='gunicorn')
    parser.add_argument('-r', '--rounds', type=int, default=5)
    parser.add_argument('--inside', help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        return inside(json.loads(options.inside), options.rounds)
    top = tempfile.mkdtemp(prefix='swift-bench-')
    try:
        tools = {'gunicorn': options.gunicorn}
        for name in ('load', 'hello'):
            tools[name] = os.path.join(top, name)
            source = os.path.join(HERE, name + '.c')
            subprocess.run(['cc', '-O2', '-static', '-o', tools[name], source], check=True)
        for name in ('swift-serve', 'swift-reload'):
            # A copy, since what a linker has just written starts more slowly.
            tools[name] = shutil.copy(os.path.join(options.tools, name), top)
        # Workers of nginx and HAProxy may be another user's.
        os.chmod(top, 0o755)
        command = ['unshare', '--mount', '--net', '--pid', '--fork', '--mount-proc', '--kill-child',
                   sys.executable, os.path.abspath(__file__), '--rounds', str(options.rounds), '--inside',
                   json.dumps(tools)]
        if os.geteuid() != 0:
            command[1:1] = ['--user', '--map-current-user', '--keep-caps']
        path = ':'.join([os.environ['PATH'], '/usr/sbin', '/sbin'])
        return subprocess.run(command, env=dict(os.environ, PATH=path)).returncode
    finally:
        shutil.rmtree(top)


if __name__ == '__main__':
    sys.exit(main())
