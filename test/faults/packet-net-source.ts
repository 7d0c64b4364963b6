/**
 * The program in the middle of a network of its own (packet-net.ts), in C, since Node can open neither tun devices nor
 * namespaces. It makes both, relays NATS from the hub to the world outside, and carries packets as it is told on its standard
 * input, a line each: wire, way, percent lost, percent doubled, ms late, ms of jitter; to an empty line it answers what
 * became of packets so far. It ends when its input ends.
 */
export const source = String.raw`
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SPACES = 3, WIRES = 3, QUEUE = 8192, LARGEST = 2048, NATS = 4222 };
static int outside, space[SPACES], tun[WIRES][2];
/* Which namespaces a wire joins, and what each end is called. */
static const int ends[WIRES][2] = {{0, 1}, {0, 2}, {1, 2}};
static struct { double lost, doubled, late_ms, jitter_ms; } weather[WIRES][2];
static struct packet { int64_t due_us; long number; int wire, way, length; char bytes[LARGEST]; } queue[QUEUE];
static int queued;
/* Packets are numbered as they come; newest is the newest that was given, each way of each wire. */
static long taken, newest[WIRES][2], lost, doubled, late, overtaken;

static void check(int good, const char *what) {
  if (good) return;
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(1);
}

static void enter(int fd) { check(setns(fd, CLONE_NEWNET) == 0, "setns"); }

static int64_t now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

static double chance(void) {
  static uint64_t state = 88172645463325252ULL;
  state ^= state << 13; state ^= state >> 7; state ^= state << 17;
  return (state >> 11) / 9007199254740992.0;
}

static void shell(const char *words) { check(system(words) == 0, words); }

static void make_spaces(void) {
  outside = open("/proc/self/ns/net", O_RDONLY);
  for (int n = 0; n < SPACES; n++) {
    check(unshare(CLONE_NEWNET) == 0, "unshare");
    space[n] = open("/proc/self/ns/net", O_RDONLY);
    shell("ip link set lo up");
  }
}

static void make_wire(int wire) {
  for (int end = 0; end < 2; end++) {
    enter(space[ends[wire][end]]);
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    check(fd >= 0, "/dev/net/tun");
    struct ifreq request = {0};
    request.ifr_flags = IFF_TUN | IFF_NO_PI;
    snprintf(request.ifr_name, IFNAMSIZ, "wire%d", wire);
    check(ioctl(fd, TUNSETIFF, &request) == 0, "TUNSETIFF");
    char words[256];
    snprintf(words, sizeof words, "ip addr add 10.77.%d.%d/24 dev wire%d && ip link set wire%d up", wire, end + 1, wire, wire);
    shell(words);
    tun[wire][end] = fd;
  }
}

/* One connection from a server inside to nats-server outside: a process of its own. */
static void relay(int near, int port) {
  if (fork() != 0) { close(near); return; }
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  enter(outside);
  int far = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (connect(far, (struct sockaddr *)&address, sizeof address)) _exit(0);
  struct pollfd both[2] = {{near, POLLIN, 0}, {far, POLLIN, 0}};
  static char bytes[65536];
  for (;;) {
    poll(both, 2, -1);
    for (int from = 0; from < 2; from++) {
      if (!both[from].revents) continue;
      ssize_t length = read(both[from].fd, bytes, sizeof bytes);
      if (length <= 0) _exit(0);
      for (ssize_t at = 0, done; at < length; at += done)
        if ((done = write(both[1 - from].fd, bytes + at, length - at)) <= 0) _exit(0);
    }
  }
}

static void obey(char *line) {
  int wire, way;
  double loss, doubling, late_ms, jitter_ms;
  if (!*line) {
    printf("%ld %ld %ld %ld %ld\n", taken, lost, doubled, late, overtaken);
    fflush(stdout);
  }
  if (sscanf(line, "%d %d %lf %lf %lf %lf", &wire, &way, &loss, &doubling, &late_ms, &jitter_ms) != 6) return;
  if (wire < 0 || wire >= WIRES || way < 0 || way > 1) return;
  weather[wire][way].lost = loss / 100;
  weather[wire][way].doubled = doubling / 100;
  weather[wire][way].late_ms = late_ms;
  weather[wire][way].jitter_ms = jitter_ms;
}

/* 0: the test is over. */
static int read_orders(void) {
  static char text[4096];
  static int length;
  ssize_t more = read(0, text + length, sizeof text - 1 - length);
  if (more <= 0) return 0;
  length += more;
  text[length] = 0;
  char *line = text;
  for (char *end; (end = strchr(line, '\n')); line = end + 1) { *end = 0; obey(line); }
  length -= line - text;
  memmove(text, line, length);
  return 1;
}

static void take_packets(int wire, int way) {
  for (int n = 0; n < 64; n++) {
    char bytes[LARGEST];
    ssize_t length = read(tun[wire][way], bytes, sizeof bytes);
    if (length <= 0) return;
    int copies = chance() < weather[wire][way].lost ? 0 : chance() < weather[wire][way].doubled ? 2 : 1;
    taken++;
    lost += copies == 0;
    doubled += copies == 2;
    for (; copies > 0 && queued < QUEUE; copies--) {
      struct packet *packet = &queue[queued++];
      double wait_ms = weather[wire][way].late_ms + chance() * weather[wire][way].jitter_ms;
      packet->due_us = now_us() + 1000 * wait_ms;
      packet->number = taken;
      packet->wire = wire;
      packet->way = way;
      packet->length = length;
      late += wait_ms > 0;
      memcpy(packet->bytes, bytes, length);
    }
  }
}

/* Microseconds until the next one is due; -1: none waits. What was taken first goes first where both are due. */
static int64_t give_packets(void) {
  int64_t next = -1, now = now_us();
  int kept = 0;
  for (int n = 0; n < queued; n++) {
    int64_t left = queue[n].due_us - now;
    if (left <= 0) {
      int wire = queue[n].wire, way = queue[n].way;
      if (write(tun[wire][1 - way], queue[n].bytes, queue[n].length) < 0) continue;
      if (queue[n].number < newest[wire][way]) overtaken++;
      else newest[wire][way] = queue[n].number;
    } else {
      if (next < 0 || left < next) next = left;
      if (kept != n) memcpy(&queue[kept], &queue[n], offsetof(struct packet, bytes) + queue[n].length);
      kept++;
    }
  }
  queued = kept;
  return next;
}

int main(int count, char **words) {
  int port = count > 1 ? atoi(words[1]) : 0;
  signal(SIGPIPE, SIG_IGN);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  make_spaces();
  for (int wire = 0; wire < WIRES; wire++) make_wire(wire);
  signal(SIGCHLD, SIG_IGN);
  enter(space[0]);
  int door = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(NATS), .sin_addr.s_addr = htonl(INADDR_ANY)};
  check(bind(door, (struct sockaddr *)&address, sizeof address) == 0 && listen(door, 16) == 0, "listen");
  enter(outside);
  printf("ready %d %d %d\n", space[0], space[1], space[2]);
  fflush(stdout);
  struct pollfd all[2 + 2 * WIRES] = {{0, POLLIN, 0}, {door, POLLIN, 0}};
  for (int n = 0; n < 2 * WIRES; n++) all[2 + n] = (struct pollfd){tun[n / 2][n % 2], POLLIN, 0};
  for (;;) {
    int64_t left = give_packets();
    struct timespec wait = {left / 1000000, left % 1000000 * 1000};
    if (ppoll(all, 2 + 2 * WIRES, left < 0 ? NULL : &wait, NULL) < 0) continue;
    if (all[0].revents && !read_orders()) return 0;
    if (all[1].revents) relay(accept(door, NULL, NULL), port);
    for (int n = 0; n < 2 * WIRES; n++) if (all[2 + n].revents) take_packets(n / 2, n % 2);
  }
}
`;
