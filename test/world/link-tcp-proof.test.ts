/** What stands against who reaches a main link's port: no key, another one, words that were said before, or the other side's own. */
import { connect, type Socket } from "node:net";
import test, { type ExecutionContext } from "ava";
import { encodeFrame, FrameReader } from "../../actors/world/frames.ts";
import { type Greeting, greetingOf, greetingProofOf, readGreeting } from "../../actors/world/greeting.ts";
import { Handshake } from "../../actors/world/handshake.ts";
import { TcpLink } from "../../actors/world/link-tcp.ts";
import type { PeerProof } from "../../actors/world/peer-proof.ts";
import { realRig } from "../conformance/rig.ts";
import { keptLog } from "../helpers/kept-log.ts";
import { proofWith } from "../helpers/peer-key.ts";

const host = "127.0.0.1";
const own = { service: "test", server: "alpha", processId: "first" };
const otherKey = "another-key-of-thirty-two-characters";

function linkOf(server: string, betaPort: number, proof: PeerProof | undefined) {
  const { clock } = realRig();
  const log = keptLog();
  const servers = [
    { name: "alpha", host, port: 0 },
    { name: "beta", host, port: betaPort },
  ];
  const limits = { maxFrameBytes: 1 << 20, maxBufferedBytes: 8 << 20 };
  const options = { ...limits, service: "test", server, processId: `of ${server}`, servers, proof, clock, log };
  return { link: new TcpLink({ ...options, allowPlaintext: false }), log };
}

/** What it tells, in order. */
async function start(t: ExecutionContext, server: string, betaPort: number, proof: PeerProof | undefined) {
  const { link, log } = linkOf(server, betaPort, proof);
  const events: string[] = [];
  await link.start({
    onUp: (peer) => events.push(`up ${peer}`),
    onDown: (peer, reason) => events.push(`down ${peer} ${reason}`),
    onFrame: (_, frame) => events.push(Buffer.from(frame).toString()),
    onUnproven: (peer, why) => events.push(`${peer}: ${why}`),
  });
  t.teardown(() => link.stop());
  return { link, log, events };
}

/** A stranger who dials beta, and reads what it says. */
async function stranger(t: ExecutionContext, port: number) {
  const heard: Uint8Array[] = [];
  const socket: Socket = connect({ host, port });
  t.teardown(() => socket.destroy());
  socket.on("error", () => undefined);
  const reader = new FrameReader(1 << 20, (frame) => heard.push(Buffer.from(frame)));
  socket.on("data", (chunk) => reader.push(chunk));
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  const say = (...frames: Uint8Array[]) => socket.write(Buffer.concat(frames.map((frame) => encodeFrame([frame]))));
  return { heard, say, closed };
}

const greetingIn = (frame: Uint8Array | undefined): Greeting => {
  const read = readGreeting(frame ?? Buffer.alloc(0));
  if (typeof read === "string") throw new Error(read);
  return read;
};

/** As the dialler named alpha that has this key. */
const dialler = (proof: PeerProof | undefined) => new Handshake({ own, dialled: "beta", proof, recognise: () => null });

for (const [what, ofAlpha, ofBeta, isUp] of [
  ["one key", [undefined, true], [undefined, true], true],
  ["two keys", [otherKey, true], [undefined, true], false],
  ["no key at the one that dials", null, [undefined, true], false],
  ["no key at the one that is dialled", [undefined, true], null, false],
  ["no key yet at the one that dials", null, [undefined, false], true],
  ["no key yet at the one that is dialled", [undefined, false], null, true],
  ["two keys, where none is required", [otherKey, false], [undefined, false], false],
] as const)
  test(`main link: with ${what} the servers ${isUp ? "are up, and frames go both ways" : "do not believe each other"}`, async (t) => {
    const { until } = realRig();
    const proofOf = (given: readonly [string | undefined, boolean] | null) =>
      given === null ? undefined : proofWith(given[0], given[1]);
    const beta = await start(t, "beta", 0, await proofOf(ofBeta));
    const alpha = await start(t, "alpha", beta.link.port(), await proofOf(ofAlpha));
    if (isUp) {
      await until(() => alpha.events.length > 0 && beta.events.length > 0, "both to be up");
      t.true(alpha.link.send("beta", [Buffer.from("to beta")]));
      t.true(beta.link.send("alpha", [Buffer.from("to alpha")]));
      await until(() => alpha.events.length > 1 && beta.events.length > 1, "both frames");
      t.deepEqual(alpha.events, ["up beta", "to alpha"]);
      t.deepEqual(beta.events, ["up alpha", "to beta"]);
      return;
    }
    // Whoever finds it closes the connection; the other one sees that alone.
    await until(
      () => [...alpha.events, ...beta.events].some((event) => event.includes("peers.keyFile")),
      "it to be told",
    );
    const lines = [...alpha.log.lines, ...beta.log.lines];
    t.true(lines.some((line) => line.includes("connection refused") && line.includes("peers.keyFile")));
    for (const [one, given] of [
      [alpha, ofAlpha],
      [beta, ofBeta],
    ] as const)
      if (given !== null) t.false(one.events.some((event) => event.startsWith("up")));
  });

test("main link: what somebody overheard of a dialler is worth nothing in another connection", async (t) => {
  const proof = await proofWith();
  const beta = await start(t, "beta", 0, proof);
  const port = beta.link.port();
  const handshake = dialler(proof);
  const first = await stranger(t, port);
  const { until } = realRig();
  first.say(handshake.greeting("beta"));
  await until(() => first.heard.length === 1, "beta's answer");
  const step = handshake.take(first.heard[0] ?? Buffer.alloc(0));
  const answer = step.outcome === "greeted" ? step.answer : null;
  if (answer === null) return t.fail();
  first.say(answer);
  await until(() => beta.events.includes("up alpha"), "the one with the key to be up");
  const second = await stranger(t, port);
  second.say(handshake.greeting("beta"), answer, Buffer.from("a frame"));
  await second.closed;
  t.is(second.heard.length, 1, "beta proves itself anew, and hears an old proof");
  t.not(greetingIn(second.heard[0]).nonce, greetingIn(first.heard[0]).nonce);
  t.false(beta.events.includes("a frame"));
  return undefined;
});

test("main link: another server's proof does not serve as alpha's", async (t) => {
  const proof = await proofWith();
  const beta = await start(t, "beta", 0, proof);
  const { until } = realRig();
  const { heard, say, closed } = await stranger(t, beta.link.port());
  const gamma = new Handshake({ own: { ...own, server: "gamma" }, dialled: "beta", proof, recognise: () => null });
  say(greetingOf({ ...greetingIn(gamma.greeting("beta")), server: "alpha" }));
  await until(() => heard.length === 1, "beta's answer");
  const step = gamma.take(heard[0] ?? Buffer.alloc(0));
  if (step.outcome !== "greeted" || step.answer === null) return t.fail("gamma proves who it is");
  say(step.answer, Buffer.from("a frame"));
  await closed;
  t.deepEqual(beta.events, ["alpha: its proof is of another key: is peers.keyFile the same on all servers?"]);
  return undefined;
});

test("main link: beta's own proof does not serve as the dialler's", async (t) => {
  const beta = await start(t, "beta", 0, await proofWith());
  const { until } = realRig();
  const { heard, say, closed } = await stranger(t, beta.link.port());
  say(greetingOf({ ...own, to: "beta", nonce: "chosen by a stranger" }));
  await until(() => heard.length === 1, "beta's answer");
  say(greetingProofOf(greetingIn(heard[0]).proof ?? ""), Buffer.from("a frame"));
  await closed;
  t.deepEqual(beta.events, ["alpha: its proof is of another key: is peers.keyFile the same on all servers?"]);
});

test("main link: who has begun to greet and proves nothing is let go in time, and is nobody before", async (t) => {
  const beta = await start(t, "beta", 0, await proofWith());
  const { heard, say, closed } = await stranger(t, beta.link.port());
  say(greetingOf({ ...own, to: "beta", nonce: "chosen by a stranger" }));
  await closed;
  t.is(heard.length, 1);
  t.deepEqual(beta.events, []);
  t.true(beta.log.lines.some((line) => line.includes("no greeting in time")));
});

test("who proves itself after another process of its name came to speak is refused", async (t) => {
  const proof = await proofWith();
  let isTaken = false;
  const taken = { kind: "taken", says: "another process speaks" };
  const recognise = () => (isTaken ? taken : null);
  const beta = new Handshake({ own: { ...own, server: "beta" }, dialled: null, proof, recognise });
  const alpha = dialler(proof);
  const waits = beta.take(alpha.greeting("beta"));
  const step = waits.outcome === "waits" ? alpha.take(waits.answer) : waits;
  isTaken = true;
  const answer = step.outcome === "greeted" ? step.answer : null;
  t.deepEqual(beta.take(answer ?? Buffer.alloc(0)), { outcome: "refused", refusal: taken });
});
