/* Counts the instructions that a command and all its processes execute in user
 * mode, by letting them go one at a time (ptrace(2)), and prints the sum. It
 * does not move with the machine's load, and needs no counters of the processor.
 *
 *     steps COMMAND... */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <unistd.h>

enum {
    FOLLOW = PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC |
             PTRACE_O_EXITKILL
};

int main(int argc, char **argv) {
    if (argc < 2)
        return 2;
    int first = fork();
    if (first == 0) {
        dup2(open("/dev/null", O_WRONLY), 1);
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        execvp(argv[1], argv + 1);
        _exit(127);
    }
    int status, pid;
    waitpid(first, &status, 0);
    ptrace(PTRACE_SETOPTIONS, first, 0, FOLLOW);
    ptrace(PTRACE_SINGLESTEP, first, 0, 0);
    long steps = 0;
    int exit_status = 1;
    while ((pid = waitpid(-1, &status, __WALL)) > 0) {
        if (!WIFSTOPPED(status)) {
            if (pid == first)
                exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
            continue;
        }
        int signal = WSTOPSIG(status);
        /* A step, an event that is followed, or the stop with which a process
         * that is followed begins: none of these is a signal of its own. */
        if (signal == SIGTRAP) {
            steps += status >> 16 == 0;
            signal = 0;
        } else if (signal == SIGSTOP) {
            signal = 0;
        }
        ptrace(PTRACE_SINGLESTEP, pid, 0, signal);
    }
    printf("%ld\n", steps);
    return exit_status;
}
