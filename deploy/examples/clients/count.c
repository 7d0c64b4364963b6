/*
 * A client of the counter in C, by NATS's library for it (https://github.com/nats-io/nats.c; on Debian libnats-dev).
 *
 *   cc -o count count.c -lnats && NATS_URL=nats://127.0.0.1:4222 ./count CLIENT COUNTER TIMES [RUN]
 *
 * Adds 1 to COUNTER, TIMES times, one request after another, and prints each reply as it came. However often the primary, a server or
 * nats-server dies meanwhile, nothing is counted twice and nothing is left out. RUN (ms since 1970; default: now) names the ids:
 * whoever starts the program again with the same RUN gets the same bytes for what was done before, and the rest is done.
 *
 * NATS_URL may log in: nats://USER:PASSWORD@HOST:PORT or nats://TOKEN@HOST:PORT. So may an nkey, NATS_NKEY being its public key and
 * NATS_NKEY_FILE the file of its seed. Exit status: 0 all done; 1 a request was refused or failed, or NATS cannot be reached at the
 * start; 2 a request's outcome is unknown, start again with the same RUN.
 *
 * It does not do: TLS and credentials files (natsOptions_SetSecure, natsOptions_SetUserCredentialsFromFiles), several requests in flight
 * at once (for that, `after`), replies in pieces. Replies are read by the form in which a service writes them, without a parser of JSON.
 */
#include <ctype.h>
#include <inttypes.h>
#include <nats/nats.h>
#include <regex.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SERVICE "counter"

enum {
  deadline_ms = 60000, /* for one request, with all its copies */
  answer_ms = 500,     /* without an answer for so long, the request is sent again */
  first_pause_ms = 20, /* after "nobody listens", BUSY and the like; twice as long each time */
  longest_pause_ms = 1000,
  between_ms = 10,     /* from one request to the next */
  look_ms = 20,        /* how often it is looked whether another server is ready */
  redial_ms = 50,
  max_copies = 4096,   /* of one request */
  max_text = 4096      /* of a name, a subject, an envelope */
};

enum outcome { DONE = 0, REFUSED = 1, UNKNOWN = 2 };

static natsConnection *nats;
static natsSubscription *answers;
static char inbox[max_text]; /* a copy's reply subject: <inbox>.<request>.<copy> */
static atomic_llong ready_epoch;
static atomic_bool forbidden;
static regex_t form, error_code, signal_epoch;

static void fail(const char *words, ...) {
  va_list rest;
  va_start(rest, words);
  fprintf(stderr, "count: ");
  vfprintf(stderr, words, rest);
  fprintf(stderr, "\n");
  va_end(rest);
  exit(REFUSED);
}

static void check(natsStatus status, const char *what) {
  natsStatus last;
  const char *why;
  if (status == NATS_OK) return;
  why = nats_GetLastError(&last);
  fail("%s: %s: %s", what, natsStatus_GetText(status), why == NULL ? "" : why);
}

static int64_t monotonic_ms(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static void append(char *text, const char *words, ...) {
  size_t length = strlen(text);
  va_list rest;
  va_start(rest, words);
  int wanted = vsnprintf(text + length, max_text - length, words, rest);
  va_end(rest);
  if (wanted < 0 || (size_t)wanted >= max_text - length) fail("a name is too long");
}

/* A name or key as one token of a subject: what is no letter, digit, - or _ becomes = and two hex digits. */
static void append_token(char *text, const char *name) {
  if (*name == 0) append(text, "=");
  for (; *name != 0; name += 1) {
    unsigned char byte = (unsigned char)*name;
    append(text, byte < 128 && (isalnum(byte) || byte == '-' || byte == '_') ? "%c" : "=%02X", byte);
  }
}

static void append_json(char *text, const char *name) {
  append(text, "\"");
  for (; *name != 0; name += 1) append(text, *name == '"' || *name == '\\' ? "\\%c" : "%c", *name);
  append(text, "\"");
}

/* What the expression's group found in the text; false where it does not fit. */
static bool find(const regex_t *expression, size_t group, const char *text, char *found, size_t size) {
  regmatch_t matches[4];
  if (regexec(expression, text, 4, matches, 0) != 0) return false;
  size_t length = (size_t)(matches[group].rm_eo - matches[group].rm_so);
  if (length >= size) return false;
  memcpy(found, text + matches[group].rm_so, length);
  found[length] = 0;
  return true;
}

static void on_signal(natsConnection *connection, natsSubscription *subscription, natsMsg *message, void *unused) {
  char digits[20];
  (void)connection, (void)subscription, (void)unused;
  /* libnats ends a message's data with a zero byte. */
  if (find(&signal_epoch, 1, natsMsg_GetData(message), digits, sizeof digits)) {
    long long epoch = atoll(digits);
    if (epoch > ready_epoch) ready_epoch = epoch;
  }
  natsMsg_Destroy(message);
}

static void on_error(natsConnection *connection, natsSubscription *subscription, natsStatus status, void *unused) {
  const char *why = NULL;
  (void)subscription, (void)unused;
  natsConnection_GetLastError(connection, &why);
  fprintf(stderr, "count: NATS: %s: %s\n", natsStatus_GetText(status), why == NULL ? "" : why);
  if (status == NATS_NOT_PERMITTED) forbidden = true; /* waiting does not help */
}

static bool is_one_of(const char *code, const char *const *codes) {
  for (; *codes != NULL; codes += 1)
    if (strcmp(code, *codes) == 0) return true;
  return false;
}

static const char *const send_again[] = {"BUSY", "NOT_HOT", "OUT_OF_ORDER", NULL}; /* under the same id */
static const char *const on_record[] = {"APPLICATION_ERROR", "POISONED", NULL};    /* asking again says the same */
static const char *const by_all[] = {"INVALID_REQUEST", "TOO_LARGE", NULL};        /* whichever copy it is */

/* What has become of one request: which copies may have been executed, and what to do next. */
struct request {
  int64_t number;
  int copies;
  bool maybe[max_copies + 1];
  enum { WAIT, AGAIN, PAUSE, END } next;
  enum outcome outcome;
};

static int count_maybe(const struct request *request) {
  int count = 0;
  for (int copy = 1; copy <= request->copies; copy += 1) count += request->maybe[copy];
  return count;
}

static void end(struct request *request, enum outcome outcome) {
  request->next = END;
  request->outcome = outcome;
}

static void on_answer(struct request *request, natsMsg *message) {
  const char *data = natsMsg_GetData(message);
  int64_t number = 0;
  int copy = 0;
  char code[32] = "", ok[8] = "";
  if (sscanf(natsMsg_GetSubject(message) + strlen(inbox), ".%" SCNd64 ".%d", &number, &copy) != 2) return;
  if (number != request->number || copy < 1 || copy > request->copies) return;
  if (natsMsg_IsNoResponders(message)) {
    strcpy(code, "NOT_HOT");
  } else {
    bool fits = find(&form, 3, data, ok, sizeof ok);
    if (!fits) return;
    if (strcmp(ok, "false") == 0 && !find(&error_code, 1, data, code, sizeof code)) return;
  }
  if (*code == 0 || is_one_of(code, on_record)) {
    puts(data);
    fflush(stdout);
    end(request, *code == 0 ? DONE : REFUSED);
    return;
  }
  if (strcmp(code, "REPLY_OMITTED") == 0) {
    fprintf(stderr, "count: done, but the reply is larger than nats-server takes: %s\n", data);
    end(request, UNKNOWN);
    return;
  }
  request->maybe[copy] = false;
  if (is_one_of(code, send_again)) {
    if (copy == request->copies) request->next = PAUSE;
    return;
  }
  fprintf(stderr, "count: %s\n", data);
  bool certain = count_maybe(request) == 0 || (is_one_of(code, by_all) && strstr(data, "\"stamps\":{") == NULL);
  if (!certain) fprintf(stderr, "count: an earlier copy may have been executed\n");
  end(request, certain ? REFUSED : UNKNOWN);
}

static void wait_for_answer(struct request *request) {
  int64_t until_ms = monotonic_ms() + answer_ms;
  long long epoch = ready_epoch;
  while (request->next == WAIT) {
    natsMsg *message = NULL;
    natsStatus status = natsSubscription_NextMsg(&message, answers, look_ms);
    if (forbidden) exit(REFUSED);
    if (status == NATS_OK) on_answer(request, message);
    natsMsg_Destroy(message);
    if (request->next != WAIT) return;
    if (status != NATS_OK && status != NATS_TIMEOUT) request->next = PAUSE;
    /* Another server is ready: what was sent to the one before may be lost. */
    else if (ready_epoch > epoch || monotonic_ms() >= until_ms) request->next = AGAIN;
  }
}

/* Sends one request until there is an answer, which it prints. */
static enum outcome ask(const char *client, const char *counter, int64_t run, int64_t number) {
  static struct request request;
  char subject[max_text] = SERVICE ".request.", envelope[max_text] = "{\"client\":";
  int pause_ms = first_pause_ms;
  int64_t until_ms = monotonic_ms() + deadline_ms;
  memset(&request, 0, sizeof request);
  request.number = number;
  append_token(subject, counter);
  append(subject, ".");
  append_token(subject, client);
  append_json(envelope, client);
  append(envelope, ",\"id\":\"%" PRId64 "-%" PRId64 "\",\"body\":{\"counter\":", run, number);
  append_json(envelope, counter);
  /* The stamp is the same however often the program is started again, and rises with each request. */
  append(envelope, ",\"add\":1},\"issuedAt\":%" PRId64 "}", run + number);
  while (monotonic_ms() < until_ms && request.copies < max_copies) {
    char reply[max_text] = "";
    request.copies += 1;
    if (request.copies == 2) {
      envelope[strlen(envelope) - 1] = 0;
      append(envelope, ",\"resend\":true}");
    }
    append(reply, "%s.%" PRId64 ".%d", inbox, number, request.copies);
    request.maybe[request.copies] = true;
    request.next = WAIT;
    /* While libnats dials again, this is kept and sent later. */
    natsStatus status = natsConnection_PublishRequestString(nats, subject, reply, envelope);
    if (status == NATS_CONNECTION_CLOSED) break;
    if (status != NATS_OK) request.next = PAUSE;
    wait_for_answer(&request);
    if (request.next == END) return request.outcome;
    if (request.next == PAUSE) {
      nats_Sleep(pause_ms);
      pause_ms = 2 * pause_ms < longest_pause_ms ? 2 * pause_ms : longest_pause_ms;
    }
  }
  fprintf(stderr, "count: %" PRId64 "-%" PRId64 " was not answered\n", run, number);
  return count_maybe(&request) == 0 ? REFUSED : UNKNOWN;
}

static void open_nats(const char *client) {
  natsOptions *options = NULL;
  natsSubscription *signals = NULL;
  natsInbox *random = NULL;
  char listen[max_text] = "";
  const char *url = getenv("NATS_URL"), *nkey = getenv("NATS_NKEY"), *seed_file = getenv("NATS_NKEY_FILE");
  check(natsOptions_Create(&options), "options");
  check(natsOptions_SetURL(options, url == NULL ? NATS_DEFAULT_URL : url), "NATS_URL");
  if (nkey != NULL && seed_file != NULL) check(natsOptions_SetNKeyFromSeed(options, nkey, seed_file), "NATS_NKEY");
  check(natsOptions_SetMaxReconnect(options, -1), "options");
  check(natsOptions_SetReconnectWait(options, redial_ms), "options");
  check(natsOptions_SetReconnectJitter(options, redial_ms, redial_ms), "options");
  check(natsOptions_SetErrorHandler(options, on_error, NULL), "options");
  check(natsConnection_Connect(&nats, options), "nats-server");
  natsOptions_Destroy(options);
  /* A broker with permissions lets a client listen to its own inboxes alone. */
  check(natsInbox_Create(&random), "inbox");
  append(inbox, "_INBOX.client.");
  append_token(inbox, client);
  append(inbox, ".%s", strrchr((const char *)random, '.') + 1);
  natsInbox_Destroy(random);
  append(listen, "%s.*.*", inbox);
  check(natsConnection_SubscribeSync(&answers, nats, listen), listen);
  check(natsConnection_Subscribe(&signals, nats, SERVICE ".signal", on_signal, NULL), SERVICE ".signal");
}

int main(int count, char **words) {
  const char *text = "\"([^\"\\]|\\\\.)*\"";
  char expression[max_text] = "";
  if (count != 4 && count != 5) fail("usage: count CLIENT COUNTER TIMES [RUN]");
  append(expression, "^\\{\"client\":%s,\"id\":%s,\"ok\":(true|false)", text, text);
  if (regcomp(&form, expression, REG_EXTENDED) != 0) fail("an expression");
  if (regcomp(&error_code, "\"error\":\\{\"code\":\"([A-Z_]+)\"", REG_EXTENDED) != 0) fail("an expression");
  if (regcomp(&signal_epoch, "\"epoch\":([0-9]+)", REG_EXTENDED) != 0) fail("an expression");
  int64_t run = count == 5 ? atoll(words[4]) : (int64_t)time(NULL) * 1000;
  long times = atol(words[3]);
  open_nats(words[1]);
  fprintf(stderr, "count: run %" PRId64 "\n", run);
  for (long number = 1; number <= times; number += 1) {
    enum outcome outcome = ask(words[1], words[2], run, number);
    if (outcome != DONE) return outcome;
    nats_Sleep(between_ms);
  }
  return DONE;
}
