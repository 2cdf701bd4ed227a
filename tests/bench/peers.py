"""The servers that `make bench-serve` plays. Each answers with a number, its text, which a reload changes."""
import os
import shutil
import signal
import subprocess

APPLICATION = '''import os
TEXT = os.environ['TEXT']
if TEXT == 'broken':
    raise RuntimeError('broken')
BODY = TEXT.encode() + b'\\n'


def app(environ, start):
    start('200 OK', [('Content-Type', 'text/plain'), ('Content-Length', str(len(BODY)))])
    return [BODY]
'''


def said(*command):
    """What a command prints, on one line."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return ' '.join(done.stdout.split())


class Peer:
    """A server on a port, with a directory of its own."""
    name = program = None
    signal = signal.SIGHUP
    # Reloads in each round: what starts Python takes longer.
    reloads = 4

    def __init__(self, tools, top, port):
        self.tools, self.port, self.process, self.text = tools, port, None, 0
        self.top = os.path.join(top, type(self).__name__)
        os.mkdir(self.top)

    def lacks(self):
        """What is missing to play it; nothing when it can be played."""
        return None if shutil.which(self.program) else self.program

    def label(self):
        return f'{self.name} {self.version()}'

    def path(self, name):
        return os.path.join(self.top, name)

    def write(self, name, text):
        """Replaces a file as a whole: a server may read it at any time."""
        with open(self.path('new'), 'w') as file:
            file.write(text)
        os.rename(self.path('new'), self.path(name))

    def start(self):
        with open(self.path('log'), 'a') as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, cwd=self.top)

    def next(self):
        """Changes the config: the number that it answers with from the next reload on."""
        self.text += 1
        self.configure(str(self.text))
        return self.text

    def reload(self):
        """The signal alone, for the times."""
        self.process.send_signal(self.signal)

    def reload_as_documented(self):
        """The way in which an operator reloads it: an exit status."""
        return subprocess.run(self.reload_command(), stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL).returncode


class Nginx(Peer):
    name, program = 'nginx', 'nginx'

    def version(self):
        return said('nginx', '-v').rpartition('/')[2]

    def configure(self, text):
        temporary = '\n'.join(f'  {what}_temp_path {self.path(what)};'
                              for what in ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'])
        answer = 'broken on purpose' if text == 'broken' else f'return 200 "{text}\\n"'
        self.write('conf', f'''worker_processes 2;
daemon off;
pid {self.path('pid')};
events {{ worker_connections 1024; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
{temporary}
  server {{ listen 127.0.0.1:{self.port} backlog=4096; location / {{ {answer}; }} }}
}}
''')

    def command(self):
        return ['nginx', '-c', self.path('conf'), '-e', self.path('log')]

    def reload_command(self):
        return self.command() + ['-s', 'reload']


class Haproxy(Peer):
    name, program, signal = 'HAProxy', 'haproxy', signal.SIGUSR2

    def version(self):
        return said('haproxy', '-v').split()[2]

    def configure(self, text):
        answer = 'nonsense' if text == 'broken' else \
            f'http-request return status 200 content-type text/plain string "{text}"'
        self.write('conf', f'''global
  nbthread 2
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 60s
frontend bench
  bind 127.0.0.1:{self.port} backlog 4096
  {answer}
''')

    def command(self):
        return ['haproxy', '-W', '-f', self.path('conf')]

    def reload_command(self):
        # As Debian's unit does.
        return ['sh', '-c', f'haproxy -W -f {self.path("conf")} -c -q && kill -USR2 {self.process.pid}']


class Gunicorn(Peer):
    name, program, reloads = 'gunicorn', None, 2

    def __init__(self, tools, top, port):
        self.program = tools['gunicorn']
        super().__init__(tools, top, port)
        self.write('bench_app.py', APPLICATION)

    def version(self):
        return said(self.program, '--version').split()[-1].rstrip(')')

    def configure(self, text):
        self.write('conf.py', f'workers = 2\nraw_env = ["TEXT={text}"]\nworker_tmp_dir = "/dev/shm"\n'
                   f'bind = "127.0.0.1:{self.port}"\nbacklog = 4096\n')

    def command(self):
        return [self.program, '--config', self.path('conf.py'), 'bench_app:app']

    def reload_command(self):
        # As its documentation says for systemd.
        return ['kill', '-HUP', str(self.process.pid)]


class Serve(Peer):
    name, signal = 'swift-serve', signal.SIGUSR1
    kind, workers = 'C worker', 2

    def __init__(self, tools, top, port):
        self.program = tools['swift-serve']
        super().__init__(tools, top, port)
        self.write('server', f'listen = ["127.0.0.1:{port}"]\nworkers = {self.workers}\n'
                   f'command = {self.worker()}\n')

    def version(self):
        return said(self.program, '--version').split()[1]

    def label(self):
        return f'{super().label()}, {self.kind}'

    def worker(self):
        return f'["{self.tools["hello"]}", "{{text}}"]'

    def configure(self, text):
        self.write('conf', f'[DEFAULT]\ntext = {text}\n')

    def command(self):
        return [self.program, self.path('server'), self.path('conf')]

    def reload_command(self):
        return [self.tools['swift-reload'], str(self.process.pid)]


class ServeGunicorn(Serve):
    reloads, kind, workers = 2, 'gunicorn', '1\nready = "accept"'

    def __init__(self, tools, top, port):
        super().__init__(tools, top, port)
        self.write('bench_app.py', APPLICATION)

    def lacks(self):
        return super().lacks() or (None if shutil.which(self.tools['gunicorn']) else 'gunicorn')

    def worker(self):
        return (f'["{self.tools["gunicorn"]}", "--workers", "2", "--worker-tmp-dir", "/dev/shm", '
                f'"--env", "TEXT={{text}}", "bench_app:app"]')


ALL = [Nginx, Haproxy, Gunicorn, Serve, ServeGunicorn]
