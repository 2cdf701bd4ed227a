"""Namespaces in which a benchmark runs: with N configs and a server as small as can be."""
import json
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
STAGE = os.path.join(HERE, '..', 'helpers', 'src', 'namespace.sh')
TOOLS = ['resolve-servers', 'pidfile', 'check-config', 'signal', 'spawn', 'reload', 'init']


class Lab:
    """The C programs, built, and who is compared. Goes away at the end of `with`."""

    def __init__(self, ours, original, before=None):
        self.programs = {'floor': None, 'ours': os.path.abspath(ours)}
        if original:
            self.programs['original'] = os.path.abspath(original)
        if before:
            self.programs['before'] = os.path.abspath(before)

    def __enter__(self):
        self.top = tempfile.mkdtemp(prefix='swift-bench-')
        self.bin = os.path.join(self.top, 'bin')
        os.mkdir(self.bin)
        for source, name in [('fake_server', 'swift-object-server'), ('floor', 'floor'),
                             ('measure', 'measure'), ('steps', 'steps'), ('empty', 'empty')]:
            built = os.path.join(self.top, name)
            subprocess.run(['cc', '-O2', '-static', '-w', '-o', built,
                            os.path.join(HERE, source + '.c')], check=True)
            self._install(built, self.bin)
        self.programs['floor'] = os.path.join(self.bin, 'floor')
        for who in self.programs.keys() & {'ours', 'before'}:
            build = os.path.dirname(self.programs[who])
            directory = os.path.join(self.top, who)
            os.mkdir(directory)
            for tool in TOOLS:
                self._install(os.path.join(build, 'swift-' + tool), directory)
            self.programs[who] = os.path.join(directory, 'swift-init')
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.top)

    def _install(self, program, directory):
        """A copy, as `make install` makes one. Many a linker writes through a mapping, which leaves
        the program in small pieces in the kernel's cache, and each start a seventh slower."""
        shutil.copy(program, directory)

    def round(self, who, n, steps):
        """Plays steps once with fresh namespaces. Gives the runs of each step."""
        return self._inside(who, n, {'steps': steps})

    def after_last_death(self, n):
        """Milliseconds from the last server's death to the return of our stop."""
        return self._inside('ours', n, {'latency': True})

    def empty(self, rounds):
        """Runs of three programs that do nothing, joined as swift-init joins its stages."""
        return self._inside('ours', 1, {'empty': rounds})

    def instructions(self, who, n):
        """Instructions in user mode of a status."""
        return self._inside(who, n, {'instructions': True})

    def _inside(self, who, n, task):
        memory = '/dev/shm' if os.path.isdir('/dev/shm') else None
        top = tempfile.mkdtemp(prefix='swift-bench-', dir=memory)
        try:
            etc, run = os.path.join(top, 'etc'), os.path.join(top, 'run')
            os.makedirs(os.path.join(etc, 'object-server'))
            for i in range(n):
                open(os.path.join(etc, 'object-server', f'{i:05}.conf'), 'w').close()
            task |= {'program': self.programs[who], 'who': who, 'n': n}
            init = os.path.join(top, 'init')
            with open(init, 'w') as file:
                file.write(f'#!/bin/sh\nexec {sys.executable} {HERE}/inside.py \'{json.dumps(task)}\'\n')
            os.chmod(init, 0o755)
            path = ':'.join([os.path.dirname(self.programs[who]), self.bin, os.environ['PATH']])
            command = ['unshare', '--mount', '--net', '--pid', '--fork', '--mount-proc',
                       '--kill-child', 'sh', STAGE, init, etc, run]
            if os.geteuid() != 0:
                command[1:1] = ['--user', '--map-current-user', '--keep-caps']
            done = subprocess.run(command, env=dict(os.environ, PATH=path), stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, text=True)
            if done.returncode != 0:
                sys.exit(f'a round of {n} instances with {who} failed')
            return json.loads(done.stdout.splitlines()[-1])
        finally:
            shutil.rmtree(top)
