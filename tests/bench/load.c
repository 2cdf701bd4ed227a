/* Sends requests to an HTTP server on 127.0.0.1 without a pause until its input ends, and prints one line of
 * JSON: what became of them, how long answers took, the longest time without one, and when the first and
 * the last answer with each text came.
 *
 *     load PORT NEW KEPT
 *
 * NEW clients connect for each request, KEPT clients keep their connection. All are in one thread, which
 * leaves the other processor to the server. Times are microseconds of CLOCK_MONOTONIC. The text of an answer
 * is a number: the generation that has answered. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CLIENTS_MAX = 256, TEXTS_MAX = 4096, TIMES_MAX = 2000000, PAUSE = 5000, PATIENCE = 10000000 };

struct client {
    int fd, keeps, was_kept, length;
    long begun, again_at; /* 0 unless a request is on its way; unless it waits after a failure */
    char answer[4096];
};

static struct client clients[CLIENTS_MAX];
static int epoll, count, port, is_over;
static unsigned times[TIMES_MAX]; /* how many answers took so many microseconds */
static long answered, refused, reset, raced, other, last_answer, gap;
static long first_of[TEXTS_MAX], last_of[TEXTS_MAX];

static long now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000L + t.tv_nsec / 1000;
}

static void hang_up(struct client *c) {
    close(c->fd);
    c->fd = -1;
    c->begun = 0;
}

static void fail(struct client *c, int error) {
    if (c->was_kept && !c->length && (error == ECONNRESET || error == EPIPE || !error))
        raced++;
    else if (error == ECONNREFUSED)
        refused++;
    else if (error == ECONNRESET || error == EPIPE || !error)
        reset++;
    else
        other++;
    hang_up(c);
    c->again_at = now() + PAUSE;
}

static void send_request(struct client *c) {
    static const char kept[] = "GET / HTTP/1.1\r\nHost: bench\r\n\r\n";
    static const char closed[] = "GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n";
    const char *text = c->keeps ? kept : closed;
    c->length = 0;
    if (send(c->fd, text, strlen(text), MSG_NOSIGNAL) < 0)
        fail(c, errno);
}

/* Begins a request: on the connection that was kept, or on a new one. */
static void begin(struct client *c) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct epoll_event event = {.data.ptr = c};
    c->again_at = 0;
    c->begun = now();
    if ((c->was_kept = c->fd >= 0)) {
        send_request(c);
        return;
    }
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->length = 0;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (connect(c->fd, (void *)&to, sizeof to) < 0 && errno != EINPROGRESS) {
        fail(c, errno);
        return;
    }
    event.events = EPOLLOUT;
    epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event);
}

/* The length of a whole answer in the buffer, 0 while it is not whole; its text. */
static int whole(struct client *c, long *text) {
    c->answer[c->length] = 0;
    char *body = strstr(c->answer, "\r\n\r\n"), *length = strcasestr(c->answer, "\r\ncontent-length:");
    if (!body || !length || length > body)
        return 0;
    int total = body + 4 - c->answer + atoi(length + 17);
    *text = atol(body + 4);
    return c->length >= total ? total : 0;
}

static void on_answer(struct client *c, long text) {
    long at = now(), took = at - c->begun;
    answered++;
    times[took < TIMES_MAX ? took : TIMES_MAX - 1]++;
    if (last_answer && at - last_answer > gap)
        gap = at - last_answer;
    last_answer = at;
    if (text >= 0 && text < TEXTS_MAX) {
        last_of[text] = at;
        if (!first_of[text])
            first_of[text] = at;
    }
    c->begun = 0;
    if (!c->keeps || strcasestr(c->answer, "\r\nconnection: close"))
        hang_up(c);
    if (!is_over)
        begin(c);
}

static void on_event(struct client *c, unsigned events) {
    int error = 0;
    long text = -1;
    struct epoll_event reads = {.events = EPOLLIN, .data.ptr = c};
    if (events & EPOLLOUT) {
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof error});
        if (error) {
            fail(c, error);
            return;
        }
        epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &reads);
        send_request(c);
        return;
    }
    ssize_t length = recv(c->fd, c->answer + c->length, sizeof c->answer - 1 - c->length, 0);
    if (length < 0 && errno == EAGAIN)
        return;
    if (length <= 0) {
        if (!c->begun) { /* An idle connection was closed. */
            hang_up(c);
            return;
        }
        fail(c, length ? errno : 0);
        return;
    }
    c->length += length;
    if (whole(c, &text)) {
        if (strncmp(c->answer, "HTTP/1.1 200", 12))
            fail(c, EPROTO);
        else
            on_answer(c, text);
    }
}

static int is_idle(void) {
    for (int i = 0; i < count; i++)
        if (clients[i].begun)
            return 0;
    return 1;
}

/* The time within which this share of the answers came. */
static long percentile(double share) {
    long seen = 0;
    for (int i = 0; i < TIMES_MAX; i++)
        if ((seen += times[i]) && seen >= answered * share)
            return i;
    return 0;
}

static void report(void) {
    int is_first = 1;
    for (int i = 0; i < count; i++)
        other += clients[i].begun != 0;
    printf("{\"answered\": %ld, \"refused\": %ld, \"reset\": %ld, \"raced\": %ld, \"other\": %ld, \"p50\": %ld,"
           " \"p99\": %ld, \"gap\": %ld, \"texts\": {",
           answered, refused, reset, raced, other, percentile(.5), percentile(.99), gap);
    for (int i = 0; i < TEXTS_MAX; i++)
        if (first_of[i]) {
            printf("%s\"%d\": [%ld, %ld]", is_first ? "" : ", ", i, first_of[i], last_of[i]);
            is_first = 0;
        }
    printf("}}\n");
}

int main(int argc, char **argv) {
    struct epoll_event events[64], input = {.events = EPOLLIN};
    long over = 0;
    if (argc != 4 || (count = atoi(argv[2]) + atoi(argv[3])) > CLIENTS_MAX)
        return 2;
    port = atoi(argv[1]);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(epoll, EPOLL_CTL_ADD, 0, &input);
    for (int i = 0; i < count; i++) {
        clients[i] = (struct client){.fd = -1, .keeps = i >= atoi(argv[2])};
        begin(&clients[i]);
    }
    while (!is_over || (!is_idle() && now() < over)) {
        int n = epoll_wait(epoll, events, 64, 1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr) {
                on_event(events[i].data.ptr, events[i].events);
            } else { /* The end of the input. */
                epoll_ctl(epoll, EPOLL_CTL_DEL, 0, NULL);
                is_over = 1;
                over = now() + PATIENCE;
            }
        }
        for (int i = 0; i < count && !is_over; i++)
            if (clients[i].again_at && clients[i].again_at <= now())
                begin(&clients[i]);
    }
    report();
    return 0;
}
