"""How long a seamless reload of 13 real Swift servers takes: all in one command, and one by one.

usage: reload.py SWIFT-INIT

Run it with the Python of the virtual environment, in which Swift is installed. The 13 are a proxy, an
account, a container and ten object servers of a laboratory (tests/lab). Where they wait, all wait at
once, so together they take as long as the slowest; where they compute, as Python does when it starts,
they share the processors.
"""
import os
import re
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
LAB = os.path.join(HERE, '..', 'lab')
OBJECT_SERVERS, ROUNDS = 10, 3


def main():
    program = os.path.abspath(sys.argv[1])
    create = [sys.executable, os.path.join(LAB, 'lab.py'), 'create']
    lab = subprocess.run(create, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    try:
        multiply(lab)
        inside = [os.path.join(LAB, 'enter'), lab, sys.executable, os.path.abspath(__file__), '--inside',
                  program]
        path = ':'.join([os.path.dirname(program), os.environ['PATH'], os.path.dirname(sys.executable)])
        return subprocess.run(inside, env=dict(os.environ, PATH=path)).returncode
    finally:
        subprocess.run([sys.executable, os.path.join(LAB, 'lab.py'), 'remove', lab], check=True)


def multiply(lab):
    """Makes ten object servers, each with a port of its own, out of one."""
    etc = os.path.join(lab, 'etc')
    config = os.path.join(etc, 'object-server.conf')
    with open(config) as file:
        text = file.read()
    os.remove(config)
    os.mkdir(os.path.join(etc, 'object-server'))
    for number in range(OBJECT_SERVERS):
        with open(os.path.join(etc, 'object-server', f'{number}.conf'), 'w') as file:
            file.write(re.sub(r'(?m)^bind_port = .*', f'bind_port = {6300 + number}', text))


def timed(*command):
    begin = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - begin


def processors():
    """What all processors together did so far, in ticks: proc_stat(5), without what was stolen."""
    with open('/proc/stat') as file:
        return [int(word) for word in file.readline().split()[1:8]]


def share_of_work(before, after):
    """How much of the time between was no idling and no waiting for disks."""
    spent = [b - a for a, b in zip(before, after)]
    return 1 - (spent[3] + spent[4]) / sum(spent)


def inside(program):
    subprocess.run([program, 'main', 'start'], check=True, stdout=subprocess.DEVNULL)
    names = ['proxy', 'account', 'container'] + [f'object.{n}' for n in range(OBJECT_SERVERS)]
    together, alone, busy = [], [], []
    for _ in range(ROUNDS):
        before = processors()
        together.append(timed(program, 'main', 'reload-seamless'))
        busy.append(share_of_work(before, processors()))
        alone.append([timed(program, name, 'reload-seamless') for name in names])
    subprocess.run([program, 'main', 'stop'], check=True, stdout=subprocess.DEVNULL)
    slowest, total = (statistics.median(f(one) for one in alone) for f in (max, sum))
    print(f'seamless reload of {len(names)} real servers, medians of {ROUNDS} rounds: together'
          f' {statistics.median(together):.1f} s; one by one {total:.1f} s, the slowest {slowest:.1f} s'
          f' ({os.cpu_count()} processors, {statistics.median(busy):.0%} busy while all reload together)')


if __name__ == '__main__':
    sys.exit(inside(sys.argv[2]) if sys.argv[1] == '--inside' else main())
