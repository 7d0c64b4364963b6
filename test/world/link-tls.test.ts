/**
 * The main link over TLS: both sides show a certificate of the same authority that names them, or there is no link.
 * The certificates are made here, with openssl; where that program is missing the tests say so and prove nothing.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import test, { type ExecutionContext } from "ava";
import { encodeFrame } from "../../actors/world/frames.ts";
import { greetingOf } from "../../actors/world/greeting.ts";
import { LinkError } from "../../actors/world/link-error.ts";
import { TcpLink } from "../../actors/world/link-tcp.ts";
import type { TlsFiles } from "../../actors/world/tcp-security.ts";
import { patternBytes, realRig } from "../conformance/rig.ts";
import { keptLog } from "../helpers/kept-log.ts";
import { temporaryDirectory } from "../helpers/temporary-directory.ts";

const host = "127.0.0.1";
const hasOpenssl = spawnSync("openssl", ["version"]).status === 0;

function openssl(directory: string, ...line: string[]): void {
  execFileSync("openssl", line, { cwd: directory, stdio: "ignore" });
}

function makeAuthority(directory: string, name: string): void {
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", `${name}.key`];
  openssl(directory, "req", "-x509", ...key, "-out", `${name}.crt`, "-days", "2", "-subj", `/CN=${name}`);
}

function makeCertificate(directory: string, authority: string, name: string): TlsFiles {
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", `${name}.key`];
  const files = `${authority}-${name}`;
  openssl(directory, "req", ...key, "-out", `${files}.csr`, "-subj", `/CN=${name}`);
  writeFileSync(join(directory, `${files}.ext`), `subjectAltName=DNS:${name}\n`);
  const issuer = ["-CA", `${authority}.crt`, "-CAkey", `${authority}.key`, "-CAcreateserial"];
  const rest = ["-out", `${files}.crt`, "-days", "2", "-extfile", `${files}.ext`];
  openssl(directory, "x509", "-req", "-in", `${files}.csr`, ...issuer, ...rest);
  const certFile = join(directory, `${files}.crt`);
  return { certFile, keyFile: join(directory, `${name}.key`), caFile: join(directory, `${authority}.crt`) };
}

interface Ends {
  readonly alpha: TcpLink;
  readonly beta: TcpLink;
  readonly events: string[];
  readonly frames: Uint8Array[];
  readonly lines: readonly string[];
}

async function startPair(t: ExecutionContext, alphaTls: TlsFiles, betaTls: TlsFiles): Promise<Ends> {
  const { clock } = realRig();
  const log = keptLog();
  const common = {
    service: "test",
    allowPlaintext: false,
    maxFrameBytes: 1 << 20,
    maxBufferedBytes: 8 << 20,
    clock,
    log,
  };
  const own = (port: number) => [
    { name: "alpha", host, port: 0 },
    { name: "beta", host, port },
  ];
  const events: string[] = [];
  const frames: Uint8Array[] = [];
  const handlers = (end: string) => ({
    onUp: () => events.push(`${end} up`),
    onDown: (_peer: string, reason: string) => events.push(`${end} down ${reason}`),
    onFrame: (_peer: string, frame: Uint8Array) => frames.push(frame),
  });
  const beta = new TcpLink({ ...common, server: "beta", servers: own(0), tls: betaTls });
  await beta.start(handlers("beta"));
  const alpha = new TcpLink({ ...common, server: "alpha", servers: own(beta.port()), tls: alphaTls });
  await alpha.start(handlers("alpha"));
  t.teardown(() => Promise.all([alpha.stop(), beta.stop()]));
  return { alpha, beta, events, frames, lines: log.lines };
}

if (!hasOpenssl) {
  test("link-tcp with TLS was not tried: there is no openssl here to make certificates with", (t) => t.pass());
} else {
  test("link-tcp with TLS: two servers of one authority talk, in frames of every size", async (t) => {
    const directory = await temporaryDirectory(t);
    makeAuthority(directory, "authority");
    const [forAlpha, forBeta] = ["alpha", "beta"].map((name) => makeCertificate(directory, "authority", name));
    if (forAlpha === undefined || forBeta === undefined) return t.fail();
    const { alpha, beta, events, frames } = await startPair(t, forAlpha, forBeta);
    const { until } = realRig();
    await until(() => events.length === 2, "both up");
    for (const size of [0, 1, 16_384, 16_385, 1 << 20]) {
      for (const [from, to] of [
        [alpha, "beta"],
        [beta, "alpha"],
      ] as const) {
        frames.length = 0;
        t.true(from.send(to, [patternBytes(size, 3)]));
        await until(() => frames.length === 1, `a frame of ${size} bytes`);
        t.is(Buffer.compare(frames[0] ?? new Uint8Array(1), patternBytes(size, 3)), 0);
      }
    }
    // A program without a certificate gets nowhere, in plaintext neither.
    const closed = new Promise<void>((resolve) => {
      const plain = connect({ host, port: beta.port() });
      plain.on("error", () => undefined);
      plain.on("close", () => resolve());
      plain.write(encodeFrame([greetingOf({ service: "test", server: "alpha", to: "beta" })]));
      plain.resume();
    });
    await closed;
    t.is(events.length, 2);
    return undefined;
  });

  for (const [what, make, said] of [
    [
      "of another authority",
      (directory: string) => {
        makeAuthority(directory, "stranger");
        return { ...makeCertificate(directory, "stranger", "alpha"), caFile: join(directory, "authority.crt") };
      },
      /handshake/,
    ],
    [
      "that names another server",
      (directory: string) => makeCertificate(directory, "authority", "gamma"),
      /does not name alpha/,
    ],
  ] as const) {
    test(`link-tcp with TLS: a certificate ${what} is refused`, async (t) => {
      const directory = await temporaryDirectory(t);
      makeAuthority(directory, "authority");
      const { events, frames, lines } = await startPair(
        t,
        make(directory),
        makeCertificate(directory, "authority", "beta"),
      );
      const { until } = realRig();
      await until(() => lines.some((line) => said.test(line)), "the refusal to be logged");
      t.deepEqual(
        events.filter((event) => event.includes("up")),
        [],
      );
      t.is(frames.length, 0);
    });
  }

  /** beta alone, whose time passes when it is told to. */
  async function startBeta(t: ExecutionContext) {
    const directory = await temporaryDirectory(t);
    makeAuthority(directory, "authority");
    const [ofAlpha, tls] = ["alpha", "beta"].map((name) => makeCertificate(directory, "authority", name));
    if (ofAlpha === undefined || tls === undefined) throw new Error("no certificates");
    const rig = realRig();
    let nowMs = 0;
    const timers = new Map<object, { atMs: number; run: () => void }>();
    const clock = {
      ...rig.clock,
      nowMs: () => nowMs,
      after: (delayMs: number, run: () => void) => {
        const timer = { cancel: () => void timers.delete(timer) };
        timers.set(timer, { atMs: nowMs + delayMs, run });
        return timer;
      },
    };
    const pass = (ms: number) => {
      nowMs += ms;
      for (const [timer, { atMs, run }] of timers)
        if (atMs <= nowMs) {
          timers.delete(timer);
          run();
        }
    };
    const log = keptLog();
    const servers = ["alpha", "beta"].map((name) => ({ name, host, port: 0 }));
    const limits = { maxFrameBytes: 1 << 20, maxBufferedBytes: 8 << 20 };
    const service = "test";
    const beta = new TcpLink({ ...limits, service, server: "beta", servers, tls, allowPlaintext: false, clock, log });
    const events: string[] = [];
    await beta.start({ onUp: (peer) => events.push(peer), onDown: () => undefined, onFrame: () => undefined });
    t.teardown(() => beta.stop());
    const open = async () => {
      const before = timers.size;
      const socket = connect({ host, port: beta.port() });
      socket.on("error", () => undefined);
      await rig.until(() => timers.size > before, "the connection to be accepted, and its time to begin");
      t.teardown(() => socket.destroy());
      return socket;
    };
    const files = { cert: readFileSync(ofAlpha.certFile), key: readFileSync(ofAlpha.keyFile) };
    const handshake = async (socket: Socket) => {
      const ca = readFileSync(ofAlpha.caFile);
      const secure = connectTls({ socket, ca, ...files, checkServerIdentity: () => undefined });
      secure.on("error", () => undefined);
      await new Promise<void>((resolve) => secure.once("secureConnect", () => resolve()));
      return secure.resume();
    };
    return { beta, events, log, open, handshake, pass, timers, until: rig.until };
  }

  test("link-tcp with TLS: handshake and greeting have one time together, from the acceptance on", async (t) => {
    const { events, log, open, handshake, pass, timers, until } = await startBeta(t);
    const [silent, slow, good] = [await open(), await open(), await open()];
    silent.resume();
    t.is(timers.size, 3);
    pass(1_500);
    const [secure, greeted] = [await handshake(slow), await handshake(good)];
    greeted.write(encodeFrame([greetingOf({ service: "test", server: "alpha", to: "beta" })]));
    await until(() => events.length === 1, "the one that greeted to be up");
    pass(499);
    t.is(timers.size, 2, "those that have not greeted still have a millisecond");
    t.false(silent.destroyed || secure.destroyed);
    pass(1);
    await until(() => silent.destroyed && secure.destroyed, "both to be closed");
    t.is(timers.size, 0);
    t.true(log.lines.some((line) => line.includes("no greeting in time")));
    t.false(greeted.destroyed);
  });

  test("link-tcp with TLS: handshakes that never begin take few places, and hold up no stop", async (t) => {
    const { beta, log, open, until } = await startBeta(t);
    const silent: Socket[] = [];
    for (let at = 0; at < 6; at += 1) silent.push((await open()).resume());
    const late = connect({ host, port: beta.port() });
    late.on("error", () => undefined);
    late.resume();
    await until(() => silent[0]?.destroyed === true, "the first to be closed");
    t.true(log.lines.some((line) => line.includes("too many connections that have not greeted")));
    t.false([...silent.slice(1), late].some((socket) => socket.destroyed));
    await beta.stop();
    await until(() => [...silent, late].every((socket) => socket.destroyed), "all to be closed");
  });

  test("link-tcp with TLS: a file that cannot be read is a clear error", async (t) => {
    const missing = { certFile: "no-such.crt", keyFile: "no-such.key", caFile: "no-such-ca.crt" };
    const error = await t.throwsAsync(startPair(t, missing, missing), { instanceOf: LinkError });
    t.is((error as LinkError).code, "TLS_FILES");
    t.regex(error?.message ?? "", /certFile.*no-such\.crt/);
  });
}
