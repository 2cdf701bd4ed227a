/* A worker as small as can be: answers each request with its text on the sockets that it was handed, as
 * systemd passes them (LISTEN_FDS), and says READY=1. At SIGTERM it takes what still waits in the queues,
 * answers once more with `Connection: close` on each connection that is kept, and ends with the last one.
 *
 *     hello TEXT */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { LISTEN = 3 };

static int epoll, sockets, is_leaving, connections;
static char answers[2][256]; /* one that keeps the connection, one that closes it */
static int lengths[2];

static void prepare(const char *text) {
    static const char *words[] = {"keep-alive", "close"};
    for (int i = 0; i < 2; i++)
        lengths[i] = snprintf(answers[i], sizeof answers[i],
                              "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n"
                              "Connection: %s\r\n\r\n%s\n",
                              strlen(text) + 1, words[i], text);
}

static void watch(int fd, unsigned how) {
    struct epoll_event e = {.events = EPOLLIN | how, .data.fd = fd};
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e);
}

static int take(int socket) {
    int fd = accept4(socket, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return 0;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    connections++;
    watch(fd, 0);
    return 1;
}

/* Requests are small, and come whole. */
static void answer(int fd) {
    char request[4096];
    ssize_t length = read(fd, request, sizeof request - 1);
    if (length < 0 && errno == EAGAIN)
        return;
    if (length > 0) {
        request[length] = 0;
        int closes = is_leaving || strcasestr(request, "\r\nconnection: close");
        if (write(fd, answers[closes], lengths[closes]) == lengths[closes] && !closes)
            return;
    }
    close(fd);
    connections--;
}

static void leave(void) {
    is_leaving = 1;
    for (int i = 0; i < sockets; i++) {
        while (take(LISTEN + i))
            ;
        epoll_ctl(epoll, EPOLL_CTL_DEL, LISTEN + i, NULL);
        close(LISTEN + i);
    }
}

static void say_ready(void) {
    const char *name = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (!name || strlen(name) >= sizeof to.sun_path)
        return;
    strcpy(to.sun_path, name);
    if (*name == '@')
        *to.sun_path = 0;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sendto(fd, "READY=1", 7, 0, (void *)&to, offsetof(struct sockaddr_un, sun_path) + strlen(name));
    close(fd);
}

int main(int argc, char **argv) {
    struct epoll_event events[64];
    sigset_t set;
    const char *handed = getenv("LISTEN_FDS");
    if (argc != 2 || !handed || !strcmp(argv[1], "broken"))
        return 1;
    prepare(argv[1]);
    sockets = atoi(handed);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int signals = signalfd(-1, &set, SFD_CLOEXEC);
    watch(signals, 0);
    for (int i = 0; i < sockets; i++) {
        fcntl(LISTEN + i, F_SETFL, O_NONBLOCK);
        watch(LISTEN + i, EPOLLEXCLUSIVE); /* as nginx: one worker is woken */
    }
    say_ready();
    while (!is_leaving || connections) {
        int n = epoll_wait(epoll, events, 64, -1);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd == signals) {
                epoll_ctl(epoll, EPOLL_CTL_DEL, signals, NULL);
                leave();
            } else if (fd >= LISTEN && fd < LISTEN + sockets) {
                if (!is_leaving)
                    take(fd);
            } else {
                answer(fd);
            }
        }
    }
    return 0;
}
