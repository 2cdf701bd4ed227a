/* Runs a command a number of times, and prints a line for each run: its time in
 * microseconds, the time of its user and system work in microseconds, the
 * peak of its memory or of a process that it has waited for in KiB, and its
 * exit status.
 *
 *     measure TIMES COMMAND...
 *
 * It is small, since a process inherits the peak of the one that started it. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static long now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000L + t.tv_nsec / 1000;
}

static long micro(struct timeval t) { return t.tv_sec * 1000000L + t.tv_usec; }

int main(int argc, char **argv) {
    if (argc < 3)
        return 2;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    for (int i = atoi(argv[1]); i > 0; i--) {
        struct rusage use;
        int pid, status;
        long begin = now();
        if (posix_spawnp(&pid, argv[2], &actions, NULL, argv + 2, environ))
            return 127;
        wait4(pid, &status, 0, &use);
        long end = now();
        printf("%ld %ld %ld %d\n", end - begin, micro(use.ru_utime) + micro(use.ru_stime),
               use.ru_maxrss, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    }
    return 0;
}
