/* A server as small as a server can be: it leads a session, closes its output
 * to say that it is ready, and sleeps until a signal ends it. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

static void bye(int signal) {
    (void)signal;
    _exit(0);
}

int main(void) {
    setsid();
    signal(SIGTERM, bye);
    signal(SIGHUP, bye);
    int null = open("/dev/null", O_RDWR);
    dup2(null, 0);
    dup2(null, 1);
    dup2(null, 2);
    for (;;)
        pause();
}
