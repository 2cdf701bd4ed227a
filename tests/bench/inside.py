"""What a benchmark does in its namespaces, as their first process: prints its result as JSON."""
import json
import os
import select
import subprocess
import sys
import time

# A status changes nothing, and takes so little that one run tells little.
TIMES = {'status': 5}


def main():
    task = json.loads(sys.argv[1])
    program, n = task['program'], task['n']
    if 'steps' in task:
        result = {step: play(task['who'], program, step, n) for step in task['steps']}
    elif 'empty' in task:
        result = measured(task['empty'], ['empty'])
    elif 'latency' in task:
        result = latency(program, n)
    else:
        call([program, 'object-server', 'start'])
        counted = subprocess.run(['steps', program, 'object-server', 'status'], check=True,
                                 stdout=subprocess.PIPE)
        result = int(counted.stdout)
    print(json.dumps(result))


def play(who, program, step, n):
    """Runs one step, and makes sure that it did what it should."""
    words = ['--no-check'] if who in ('before', 'ours') and step == 'restart' else []
    runs = measured(TIMES.get(step, 1), [program, *words, 'object-server', step])
    reap()
    alive = count()
    wanted = 0 if step == 'stop' else n
    if alive != wanted or any(run['status'] != 0 for run in runs):
        sys.exit(f'{program} {step}: {alive} of {wanted} servers run: {runs[-1]}')
    return runs


def measured(times, command):
    """Runs of a command: milliseconds, CPU milliseconds, peak KiB and exit status."""
    done = subprocess.run(['measure', str(times), *command], check=True, stdout=subprocess.PIPE,
                          text=True)
    runs = [line.split() for line in done.stdout.splitlines()]
    return [{'ms': int(wall) / 1000, 'cpu': int(cpu) / 1000, 'kib': int(kib), 'status': int(status)}
            for wall, cpu, kib, status in runs]


def call(command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def reap():
    """Takes the statuses of servers that have ended, as an init does."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0] != 0:
            pass
    except ChildProcessError:
        pass


def servers():
    for entry in os.listdir('/proc'):
        try:
            if entry.isdigit() and open(f'/proc/{entry}/cmdline', 'rb').read().startswith(
                    b'swift-object-server\0'):
                yield int(entry)
        except OSError:
            pass


def count():
    return sum(1 for _ in servers())


def latency(program, n):
    """Milliseconds from the moment when the last server is seen to be dead to the end of a stop."""
    call([program, 'object-server', 'start'])
    alive = select.poll()
    pidfds = [os.pidfd_open(pid) for pid in servers()]
    for pidfd in pidfds:
        alive.register(pidfd, select.POLLIN)
    stop = subprocess.Popen([program, 'object-server', 'stop'], stdout=subprocess.DEVNULL)
    left = len(pidfds)
    while left:
        for pidfd, _ in alive.poll():
            alive.unregister(pidfd)
            left -= 1
    dead = time.monotonic()
    stop.wait()
    return (time.monotonic() - dead) * 1000


if __name__ == '__main__':
    main()
