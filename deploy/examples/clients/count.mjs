#!/usr/bin/env node
/**
 * A client of the counter by NATS over WebSocket, as a page in a browser speaks it: nats.ws, and nothing of ours.
 *
 *   npm install nats.ws ws
 *   NATS_URL=ws://127.0.0.1:8080 node count.mjs CLIENT COUNTER TIMES [RUN]
 *
 * Adds 1 to COUNTER, TIMES times, one request after another, and prints each reply as it came. However often the primary, a server or
 * nats-server dies meanwhile, nothing is counted twice and nothing is left out. RUN (ms since 1970; default: now) names the ids:
 * whoever starts the program again with the same RUN gets the same bytes for what was done before, and the rest is done.
 *
 * NATS_URL may log in: ws://USER:PASSWORD@HOST:PORT or ws://TOKEN@HOST:PORT. Exit status: 0 all done; 1 a request was refused or failed,
 * or NATS cannot be reached at the start; 2 a request's outcome is unknown, start again with the same RUN. The class Client is the
 * same in a page: only the end of this file is Node's.
 *
 * It does not do: TLS of one's own authority, nkeys and credentials files (`nkeyAuthenticator`, `credsAuthenticator` of nats.ws), several
 * requests in flight at once (for that, `after`), replies in pieces.
 */
import { connect } from "nats.ws";

const service = "counter";
const deadlineMs = 60_000; // for one request, with all its copies
const answerMs = 500; // without an answer for so long, the request is sent again
const pausesMs = { first: 20, longest: 1_000 }; // after "nobody listens", BUSY and the like
const betweenMs = 10; // from one request to the next

const sendAgain = new Set(["BUSY", "NOT_HOT", "OUT_OF_ORDER"]); // under the same id
const onRecord = new Set(["APPLICATION_ERROR", "POISONED"]); // executed and failed; asking again says the same
const refusedByAll = new Set(["INVALID_REQUEST", "TOO_LARGE"]); // whichever copy it is

/** Certainly not executed. */
class Refused extends Error {}
/** It may have been executed. Asking again under the same id is safe, and tells. */
class Unknown extends Error {}

const delay = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A name or key as one token of a subject: what is no letter, digit, - or _ becomes = and two hex digits. */
function token(text) {
  const bytes = [...encoder.encode(text)].map((byte) => {
    const char = String.fromCharCode(byte);
    return /[A-Za-z0-9_-]/.test(char) ? char : `=${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  });
  return bytes.join("") || "=";
}

class Client {
  #nats;
  #name;
  #inbox;
  #requests = 0;
  #epoch = 0;
  /** Of the request that waits: takes a message, and another server's `ready`. */
  #waiting = { onMessage: () => {}, onReady: () => {} };

  /** Rejects where NATS cannot be reached now; later it is dialled again, without an end. `onForbidden`: waiting does not help. */
  static async open(url, name, onForbidden) {
    const { protocol, host, username, password } = new URL(url);
    const user = decodeURIComponent(username);
    const logIn = password === "" ? { token: user } : { user, pass: decodeURIComponent(password) };
    const nats = await connect({
      servers: `${protocol}//${host}`,
      ...(user === "" ? {} : logIn),
      maxReconnectAttempts: -1,
      reconnectTimeWait: 50,
    });
    return new Client(nats, name, onForbidden);
  }

  constructor(nats, name, onForbidden) {
    this.#nats = nats;
    this.#name = name;
    // A broker with permissions lets a client listen to its own inboxes alone.
    this.#inbox = `_INBOX.client.${token(name)}.${crypto.randomUUID()}`;
    nats.subscribe(`${this.#inbox}.*.*`, {
      callback: (error, message) => (error ? onForbidden(error) : this.#waiting.onMessage(message)),
    });
    nats.subscribe(`${service}.signal`, {
      callback: (error, message) => {
        if (error) return onForbidden(error);
        const { epoch } = message.json();
        if (epoch > this.#epoch) this.#waiting.onReady();
        this.#epoch = Math.max(this.#epoch, epoch);
      },
    });
    // It is over for good only where it is closed, or where NATS does not let this user in any more.
    nats.closed().then((error) => error && onForbidden(error));
    void this.#watch(onForbidden);
  }

  async #watch(onForbidden) {
    for await (const { type, data, permissionContext } of this.#nats.status())
      if (type === "error" && permissionContext !== undefined) onForbidden(new Error(String(data)));
  }

  /** The reply as it came. Rejects with Refused or Unknown. */
  async request(key, id, body, issuedAt) {
    const subject = `${service}.request.${token(key)}.${token(this.#name)}`;
    const untilMs = performance.now() + deadlineMs;
    const maybeExecuted = new Set();
    let pauseMs = pausesMs.first;
    this.#requests += 1;
    for (let copy = 1; performance.now() < untilMs; copy += 1) {
      const reply = `${this.#inbox}.${this.#requests}.${copy}`;
      const resend = copy > 1 ? { resend: true } : {};
      const envelope = { client: this.#name, id, body, issuedAt, ...resend };
      maybeExecuted.add(reply);
      // What is sent while it dials again is lost: then it is sent again.
      this.#nats.publish(subject, encoder.encode(JSON.stringify(envelope)), { reply });
      const { text, refused, pause } = await this.#answer(id, reply, maybeExecuted);
      if (text !== undefined) return text;
      if (refused !== undefined) {
        const why = `${id}: ${refused.code}: ${refused.message}`;
        if (maybeExecuted.size === 0 || (refusedByAll.has(refused.code) && refused.stamps === undefined))
          throw new Refused(why);
        throw new Unknown(`${why}; an earlier copy may have been executed`);
      }
      if (pause) {
        await delay(pauseMs);
        pauseMs = Math.min(2 * pauseMs, pausesMs.longest);
      }
    }
    const Kind = maybeExecuted.size === 0 ? Refused : Unknown;
    throw new Kind(`${id}: not answered in ${deadlineMs} ms`);
  }

  /** `text`: done. `refused`: sending again does not help. Else again, at once or after a pause. */
  #answer(id, reply, maybeExecuted) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => end({}), answerMs);
      const end = (what) => {
        clearTimeout(timer);
        this.#waiting = { onMessage: () => {}, onReady: () => {} };
        resolve(what);
      };
      const onMessage = (message) => {
        if (!message.subject.startsWith(`${this.#inbox}.${this.#requests}.`)) return;
        const isLatest = message.subject === reply;
        const isNobody = message.headers?.code === 503;
        const text = decoder.decode(message.data);
        const answer = isNobody
          ? { ok: false, error: { code: "NOT_HOT", message: "nobody listens" } }
          : JSON.parse(text);
        const code = answer.ok ? undefined : answer.error.code;
        if (code === undefined || onRecord.has(code)) return end({ text });
        if (code === "REPLY_OMITTED")
          return reject(new Unknown(`${id}: done, but the reply is larger than nats-server takes`));
        maybeExecuted.delete(message.subject);
        if (!sendAgain.has(code)) end({ refused: answer.error });
        else if (isLatest) end({ pause: true });
      };
      // What was sent to the server before may be lost.
      this.#waiting = { onMessage, onReady: () => end({}) };
    });
  }

  close() {
    return this.#nats.close();
  }
}

/* --- Node's part ------------------------------------------------------------------------------------------------------------------- */

// Browsers have one, and so has Node from 22 on.
globalThis.WebSocket ??= (await import("ws")).WebSocket;

const [name, counter, times, run = String(Date.now())] = process.argv.slice(2);

function fail(why, status = 1) {
  console.error(`count.mjs: ${why}`);
  process.exit(status);
}

if (times === undefined) fail("usage: count.mjs CLIENT COUNTER TIMES [RUN]");
try {
  const url = process.env.NATS_URL ?? "ws://127.0.0.1:8080";
  const client = await Client.open(url, name, (error) => fail(`NATS: ${error.message}`));
  console.error(`count.mjs: run ${run}`);
  for (let number = 1; number <= Number(times); number += 1) {
    // The stamp is the same however often the program is started again, and rises with each request.
    const reply = await client.request(counter, `${run}-${number}`, { counter, add: 1 }, Number(run) + number);
    console.log(reply);
    if (!JSON.parse(reply).ok) process.exit(1);
    await delay(betweenMs);
  }
  await client.close();
} catch (error) {
  fail(error.message, error instanceof Unknown ? 2 : 1);
}
