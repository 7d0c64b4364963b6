/**
 * A joiner behind a slow link, and a primary that is written without a pause: what it confirms is never level with what is committed,
 * unless commits wait for it, once, for a bounded time (rule 8; situation 151).
 */
import test from "ava";
import { inside, primaryOf } from "../helpers/inside.ts";
import { limits, Stage } from "./stage.ts";

const stepMs = 5;
/** What a server says arrives so many steps later. */
const lateSteps = 6;

/** Alpha is alone, and beta, which is to join, is `lateSteps` away, both ways. */
class SlowLink {
  readonly stage: Stage;
  /** Longest time without a commit, while requests came in each step. */
  longestMs = 0;
  #requests = 0;
  #steps = 0;
  #committedMs: number;
  /** Of each server: how many of its messages waited at each of the last steps. */
  readonly #waited = new Map<string, number[]>([
    ["alpha", []],
    ["beta", []],
  ]);

  constructor(joinWaitMs: number = limits.joinWaitMs) {
    this.stage = new Stage({ replica: { limits: { ...limits, joinWaitMs } } });
    this.stage.start("alpha");
    this.stage.tick(3);
    for (let n = 0; n < 50; n += 1) this.#request();
    this.stage.start("beta");
    for (const name of this.#waited.keys()) this.stage.server(name).held.add("send");
    this.#committedMs = this.stage.nowMs;
  }

  get isIn(): boolean {
    return this.stage.record.inSync.length === 2;
  }
  get requests(): number {
    return this.#requests;
  }

  #request(): void {
    this.#requests += 1;
    this.stage.do("alpha", `r${this.#requests}`);
  }

  /** A request in each step. `isMute`: nothing that beta says arrives. */
  go(steps: number, isMute = false): void {
    for (let n = 0; n < steps && !this.isIn; n += 1) {
      const { stage } = this;
      stage.nowMs += stepMs;
      this.#steps += 1;
      const { committed } = stage.replica("alpha");
      this.#request();
      if ((this.#steps * stepMs) % limits.heartbeatMs === 0) this.#tick();
      for (const [name, waited] of this.#waited) this.#deliver(name, waited, isMute && name === "beta");
      // Somebody looks when it asked for that, at the latest with the next tick; here with each step.
      stage.server("alpha").hasInput = true;
      stage.run();
      if (stage.replica("alpha").committed > committed) this.#committedMs = stage.nowMs;
      this.longestMs = Math.max(this.longestMs, stage.nowMs - this.#committedMs);
    }
  }

  #tick(): void {
    const { stage } = this;
    for (const { name, replica } of stage.servers.values()) replica?.onTick(stage.nowMs, stage.wallOf(name));
    for (const server of stage.servers.values()) server.hasInput = true;
    stage.run();
  }

  #deliver(name: string, waited: number[], isMute: boolean): void {
    const server = this.stage.server(name);
    const isSent = ({ type }: { type: string }) => type === "send";
    waited.push(server.waiting.filter(isSent).length);
    if (waited.length <= lateSteps) return;
    const due = waited.shift() ?? 0;
    if (isMute) server.waiting.splice(0, due);
    else for (let n = 0; n < due; n += 1) this.stage.let(name, "send");
    for (const [at, count] of waited.entries()) waited[at] = count - due;
  }
}

test("situation 151: a joiner far away is taken in while its primary is written without a pause", (t) => {
  const link = new SlowLink();
  link.go(600);
  t.true(
    link.isIn,
    `${link.requests} requests, confirmed ${primaryOf(link.stage.replica("alpha")).followers.confirmed("beta.1")}`,
  );
  t.true(link.longestMs <= limits.joinWaitMs, `${link.longestMs} ms without a commit`);
  const { awaited } = primaryOf(link.stage.replica("alpha"));
  t.is(awaited.limit(), Number.POSITIVE_INFINITY, "from now on it counts as a member");
});

test("situation 151: without a wait it is not", (t) => {
  const link = new SlowLink(0);
  link.go(600);
  t.false(link.isIn);
  t.is(link.stage.replica("alpha").committed, link.requests, "and nothing has waited for it");
});

test("8. a joiner that falls silent holds commits up for its time, and then not again for ten times as long", (t) => {
  const link = new SlowLink();
  const alpha = link.stage.replica("alpha");
  const { awaited } = primaryOf(alpha);
  for (let n = 0; n < 600 && awaited.waitedMs === 0; n += 1) link.go(1);
  t.false(link.isIn);
  const sinceMs = link.stage.nowMs - awaited.waitedMs;
  while (awaited.limit() !== Number.POSITIVE_INFINITY) link.go(1, true);
  t.is(link.stage.nowMs - sinceMs, limits.joinWaitMs);
  t.is(alpha.committed, link.requests, "all that waited is committed at once");
  const endedMs = link.stage.nowMs;
  while (awaited.waitedMs === 0 && !link.isIn && link.stage.nowMs < endedMs + 20 * limits.joinWaitMs) link.go(1);
  t.true(link.stage.nowMs - endedMs >= 10 * limits.joinWaitMs, `${link.stage.nowMs - endedMs} ms of rest`);
});

test("8. a wait ends with the session: what another one confirms is its own", (t) => {
  const link = new SlowLink();
  const { stage } = link;
  const { awaited, followers } = primaryOf(stage.replica("alpha"));
  for (let n = 0; n < 600 && awaited.waitedMs === 0; n += 1) link.go(1);
  t.not(awaited.limit(), Number.POSITIVE_INFINITY);
  const asked = stage.lastSent("beta", "follow");
  stage.forge("beta", "alpha", { ...asked, session: "another", number: (asked.number ?? 0) + 1 });
  t.is(followers.get("beta")?.session?.id, "another");
  t.is(awaited.limit(), Number.POSITIVE_INFINITY);
});

test("8. commits wait for none that may not be taken in, that is far behind, or that is no more", (t) => {
  const link = new SlowLink();
  const alpha = link.stage.replica("alpha");
  const { awaited, followers } = primaryOf(alpha);
  const beta = followers.get("beta");
  if (beta === undefined) return t.fail();
  for (let n = 0; n < 600 && awaited.waitedMs === 0; n += 1) link.go(1);
  t.true(beta.isNear(limits.joinWaitMs / 2));
  t.false(beta.isNear(lateSteps * stepMs), "its confirms take twice that way");
  beta.end();
  t.is(awaited.limit(), Number.POSITIVE_INFINITY);
  const { core } = inside(alpha);
  core.nowMs += 100 * limits.joinWaitMs;
  awaited.consider(beta);
  t.is(awaited.limit(), Number.POSITIVE_INFINITY, "it has no session");
});
