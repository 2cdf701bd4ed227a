/* The floor: what the kernel charges for the same forks, files and signals,
 * with no checks, no messages and no options.
 *
 *     floor object-server start|status|stop|restart
 *
 * over /etc/swift/object-server/N.conf and /run/swift/object-server/N.pid. It
 * believes every pid file and looks only whether the name of the program stands
 * in the process's command line. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

extern char **environ;

enum { MAX = 20000 };
static int pids[MAX], fds[MAX];
static char *names[MAX];

static int list(const char *dir) {
    struct dirent **entries;
    int n = scandir(dir, &entries, NULL, alphasort), k = 0;
    for (int i = 0; i < n && k < MAX; i++)
        if (entries[i]->d_name[0] != '.')
            names[k++] = entries[i]->d_name;
    return k;
}

static int running(void) {
    int n = list("/run/swift/object-server"), k = 0;
    for (int i = 0; i < n; i++) {
        char path[300], text[512];
        snprintf(path, sizeof path, "/run/swift/object-server/%s", names[i]);
        int file = open(path, O_RDONLY), got = read(file, text, 20);
        close(file);
        text[got > 0 ? got : 0] = 0;
        int pid = atoi(text);
        snprintf(path, sizeof path, "/proc/%d/cmdline", pid);
        if ((file = open(path, O_RDONLY)) < 0)
            continue;
        got = read(file, text, sizeof text);
        close(file);
        if (got > 0 && memmem(text, got, "swift-object-server", 19))
            pids[k++] = pid;
    }
    return k;
}

static void start(void) {
    int n = list("/etc/swift/object-server");
    mkdir("/run/swift/object-server", 0755);
    for (int i = 0; i < n; i++) {
        char conf[300], pid_file[300], text[20];
        int ends[2], pid, length = (int)strlen(names[i]) - 5;
        snprintf(conf, sizeof conf, "/etc/swift/object-server/%s", names[i]);
        snprintf(pid_file, sizeof pid_file, "/run/swift/object-server/%.*s.pid", length, names[i]);
        pipe2(ends, O_CLOEXEC);
        posix_spawn_file_actions_t actions;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
        posix_spawn_file_actions_adddup2(&actions, ends[1], 2);
        char *argv[] = {"swift-object-server", conf, NULL};
        posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
        close(ends[1]);
        fds[i] = ends[0];
        int file = open(pid_file, O_WRONLY | O_CREAT | O_TRUNC, 0644);
        write(file, text, snprintf(text, sizeof text, "%d", pid));
        close(file);
    }
    for (int i = 0; i < n; i++) {
        char text[64];
        while (read(fds[i], text, sizeof text) > 0) {
        }
        close(fds[i]);
    }
}

static void stop(void) {
    int n = running();
    for (int i = 0; i < n; i++) {
        fds[i] = syscall(SYS_pidfd_open, pids[i], 0);
        syscall(SYS_pidfd_send_signal, fds[i], SIGTERM, NULL, 0);
    }
    for (int i = 0; i < n; i++) {
        struct pollfd ended = {fds[i], POLLIN, 0};
        poll(&ended, 1, 15000);
    }
    n = list("/run/swift/object-server");
    for (int i = 0; i < n; i++) {
        char path[300];
        snprintf(path, sizeof path, "/run/swift/object-server/%s", names[i]);
        unlink(path);
    }
}

int main(int argc, char **argv) {
    const char *command = argv[argc - 1];
    if (!strcmp(command, "start")) {
        start();
    } else if (!strcmp(command, "stop")) {
        stop();
    } else if (!strcmp(command, "restart")) {
        stop();
        start();
    } else {
        int n = running();
        for (int i = 0; i < n; i++)
            printf("object-server running (%d)\n", pids[i]);
        return n == 0;
    }
    return 0;
}
