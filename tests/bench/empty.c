/* Three programs that do nothing: this one starts itself twice, as two stages
 * that a pipe joins, reads to their end and waits for both. What swift-init
 * takes for a status is at least this. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int stage(char *program, int in, int out) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in, 0);
    posix_spawn_file_actions_adddup2(&actions, out, 1);
    char *argv[] = {program, "stage", NULL};
    pid_t pid = -1;
    posix_spawn(&pid, program, &actions, NULL, argv, environ);
    return pid;
}

int main(int argc, char **argv) {
    if (argc > 1)
        return 0;
    int first[2], second[2], status = 1, ends = 0;
    if (pipe2(first, O_CLOEXEC) || pipe2(second, O_CLOEXEC))
        return 1;
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    pid_t one = stage("/proc/self/exe", null, first[1]);
    pid_t other = stage("/proc/self/exe", first[0], second[1]);
    if (one < 0 || other < 0)
        return 1;
    close(second[1]);
    char byte;
    while (read(second[0], &byte, 1) > 0) {
    }
    ends += waitpid(one, &status, 0) == one && status == 0;
    ends += waitpid(other, &status, 0) == other && status == 0;
    return ends == 2 ? 0 : 1;
}
