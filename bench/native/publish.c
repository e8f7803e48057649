/* Publishes ready-made MQTT 3.1.1 packets on many connections at once, as devices do.
 *
 *   publish PORT FILE EPOCHS SECONDS
 *
 * FILE holds for each connection four little-endian u32 (bytes of the prelude, answers to it,
 * messages, bytes of these), then the prelude (CONNECT, SUBSCRIBE) and the messages (PUBLISH,
 * QoS 1). Prints "ready" once every prelude is answered, and starts at a line on stdin. Sends
 * evenly over SECONDS, or as fast as the broker takes it where that is 0. Ends when every message has its PUBACK and down/ack has spoken of EPOCHS epochs, or when nothing
 * has come for 20 s; prints what came and when, in seconds after the start, as JSON.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER = 1 << 16, PIECE = 1 << 15, EVENTS = 64, IDLE_MS = 20000, TICK_MS = 20, MOST_CODES = 256 };

struct link {
    int socket;
    const uint8_t *out;
    size_t left, held;
    uint8_t in[BUFFER];
};

static unsigned answers, pubacks;
static unsigned long epochs[MOST_CODES];

static double now(void) {
    struct timespec moment;
    clock_gettime(CLOCK_MONOTONIC, &moment);
    return (double)moment.tv_sec + (double)moment.tv_nsec * 1e-9;
}

static void fail(const char *what) {
    fprintf(stderr, "publish: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint32_t u32(const uint8_t *at) {
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* Counts the ranges of an acknowledgement: a topic, then version, n, stream, n ranges, crc. */
static void count_ack(const uint8_t *packet, size_t size) {
    size_t begin = 2 + ((size_t)packet[0] << 8 | packet[1]);
    if (size < begin + 14) return;
    const uint8_t *range = packet + begin + 10;
    for (unsigned n = packet[begin + 1]; n > 0; n--, range += 6) epochs[range[5]] += range[4];
}

static void take(struct link *link) {
    size_t at = 0;
    while (link->held - at >= 2) {
        size_t size = 0, head = 1;
        unsigned shift = 0;
        do {
            if (at + head >= link->held) goto more;
            size |= (size_t)(link->in[at + head] & 0x7F) << shift;
            shift += 7;
        } while (link->in[at + head++] & 0x80);
        if (link->held - at < head + size) break;
        switch (link->in[at] >> 4) {
        case 4: pubacks++; break;
        case 3: count_ack(link->in + at + head, size); break;
        default: answers++;
        }
        at += head + size;
    }
more:
    link->held -= at;
    memmove(link->in, link->in + at, link->held);
}

static void pump(struct link *link, unsigned events) {
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        ssize_t got = recv(link->socket, link->in + link->held, BUFFER - link->held, 0);
        if (got == 0) errno = ECONNRESET;
        if (got == 0 || (got < 0 && errno != EAGAIN)) fail("the broker hung up");
        if (got > 0) link->held += (size_t)got;
        take(link);
    }
    if ((events & EPOLLOUT) && link->left > 0) {
        size_t piece = link->left < PIECE ? link->left : PIECE;
        ssize_t sent = send(link->socket, link->out, piece, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) fail("cannot send");
        if (sent > 0) link->out += sent, link->left -= (size_t)sent;
    }
}

static void watch(int poll, int how, struct link *link) {
    struct epoll_event event = {.events = EPOLLIN | (link->left ? EPOLLOUT : 0u)};
    event.data.ptr = link;
    if (epoll_ctl(poll, how, link->socket, &event) < 0) fail("epoll");
}

/* Waits so long for something to do, and does it; returns whether there was any. */
static int step(int poll, int within_ms) {
    struct epoll_event events[EVENTS];
    int count = epoll_wait(poll, events, EVENTS, within_ms);
    for (int n = 0; n < count; n++) {
        struct link *link = events[n].data.ptr;
        size_t before = link->left;
        pump(link, events[n].events);
        if (before && !link->left) watch(poll, EPOLL_CTL_MOD, link);
    }
    return count > 0;
}

/* Works until `done` of the counter are there; returns whether they came. */
static int work(int poll, const unsigned *counter, unsigned done, unsigned long acked) {
    while (*counter < done || epochs[0] < acked)
        if (!step(poll, IDLE_MS)) return 0;
    return 1;
}

/* Lets a link send its body up to this share. */
static void release(int poll, struct link *link, const uint8_t *body, size_t size, double share) {
    size_t until = share < 1 ? (size_t)(share * (double)size) : size;
    link->left = until - (size_t)(link->out - body);
    if (link->left) watch(poll, EPOLL_CTL_MOD, link);
}

static struct link *open_link(int port) {
    struct link *link = calloc(1, sizeof *link);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int yes = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (!link || (link->socket = socket(AF_INET, SOCK_STREAM, 0)) < 0) fail("no socket");
    if (connect(link->socket, (struct sockaddr *)&address, sizeof address)) fail("connect");
    setsockopt(link->socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (fcntl(link->socket, F_SETFL, O_NONBLOCK) < 0) fail("fcntl");
    return link;
}

static uint8_t *read_all(const char *name, size_t *size) {
    FILE *file = fopen(name, "rb");
    if (!file || fseek(file, 0, SEEK_END)) fail(name);
    *size = (size_t)ftell(file);
    rewind(file);
    uint8_t *bytes = malloc(*size);
    if (!bytes || fread(bytes, 1, *size, file) != *size) fail(name);
    fclose(file);
    return bytes;
}

int main(int count, char **arguments) {
    if (count != 5) return fputs("publish PORT FILE EPOCHS SECONDS\n", stderr), 2;
    size_t size, used = 0;
    const uint8_t *bytes = read_all(arguments[2], &size);
    unsigned long asked = strtoul(arguments[3], NULL, 10);
    double seconds = atof(arguments[4]);
    struct link *links[1024];
    const uint8_t *bodies[1024];
    size_t lengths[1024];
    unsigned number = 0, messages = 0, expected = 0;
    int poll = epoll_create1(0);
    for (; used < size && number < 1024; number++) {
        const uint8_t *head = bytes + used;
        struct link *link = links[number] = open_link(atoi(arguments[1]));
        link->out = head + 16;
        link->left = u32(head);
        expected += u32(head + 4);
        messages += u32(head + 8);
        bodies[number] = link->out + link->left;
        lengths[number] = u32(head + 12);
        used += 16 + link->left + lengths[number];
        watch(poll, EPOLL_CTL_ADD, link);
        if (!work(poll, &answers, expected, 0)) fail("no answer to CONNECT and SUBSCRIBE");
    }
    puts("ready");
    fflush(stdout);
    if (getchar() == EOF) return 1;
    double start = now();
    for (unsigned n = 0; n < number; n++) links[n]->out = bodies[n];
    for (double share = 0; share < 1;) {
        share = seconds > 0 ? (now() - start) / seconds : 1;
        for (unsigned n = 0; n < number; n++)
            release(poll, links[n], bodies[n], lengths[n], share);
        for (double next = now() + TICK_MS * 1e-3; share < 1 && now() < next;)
            step(poll, TICK_MS);
    }
    int published = work(poll, &pubacks, messages, 0);
    double taken = now() - start;
    int told = published && work(poll, &pubacks, messages, asked);
    printf("{\"messages\": %u, \"taken\": %u, \"taken_s\": %.6f, \"acked\": %lu, "
           "\"refused\": %lu, \"acked_s\": %.6f, \"complete\": %s}\n",
           messages, pubacks, taken, epochs[0], epochs[1] + epochs[2], now() - start,
           told ? "true" : "false");
    return 0;
}
