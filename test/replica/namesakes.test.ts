/** Two servers of one name (rule 1): which of them is believed, what neither may do, and what counts as present. */

import test from "ava";
import { hearVoice, isDoubled, type Voice } from "../../machines/replica/peers/voices.ts";
import type { Heartbeat } from "../../schemas/peer-message.ts";
import { inside } from "../helpers/inside.ts";
import { limits, Stage } from "./stage.ts";

const polls = Math.ceil(limits.registryPollMs / limits.heartbeatMs) + 1;
const heard = Math.ceil(limits.suspicionMs / limits.heartbeatMs) + 2;
const namesakeMs = limits.suspicionMs + 2 * limits.statusMs;

/** What a second process in the name of a server says of itself, made of what that server said last. */
function stranger(stage: Stage, name: string, changes: Partial<Heartbeat>): Heartbeat {
  const { record: _record, revision: _revision, ...heartbeat } = stage.lastSent(name, "heartbeat");
  return { ...heartbeat, incarnation: `${name}.x`, disk: "another", hot: false, last: 0, lastEpoch: 0, ...changes };
}

/** Both speak for a while: the stranger once a beat. */
function speak(stage: Stage, name: string, to: string, beats: number, changes: Partial<Heartbeat> = {}): void {
  for (let beat = 1; beat <= beats; beat += 1) {
    stage.tick();
    stage.forge(name, to, stranger(stage, name, { beat, ...changes }));
  }
}

test("a second server of the primary's name, on another disk, is no restart of it: the one that is named serves on (rule 1)", (t) => {
  const stage = Stage.normal();
  const { epoch } = stage.record;
  speak(stage, "alpha", "beta", 8, { life: 99 });
  t.deepEqual(stage.states(), ["hot.normal", "following.warm"]);
  t.is(stage.record.epoch, epoch);
  stage.do("alpha", "1");
  t.deepEqual(stage.replies(), ["1: ok at 1"]);
  const peer = inside(stage.replica("beta")).core.peers.get("alpha");
  t.true(peer !== undefined && inside(stage.replica("beta")).core.peers.isDoubled(peer));
  t.regex(
    stage
      .replica("beta")
      .troubles()
      .find(([code]) => code === "server.doubled")?.[1] ?? "",
    /two servers speak under one name: alpha/,
  );
});

test("one that the registry names is believed rather than one that was heard first (rule 1)", (t) => {
  const stage = Stage.normal();
  stage.kill("beta");
  stage.tellGone("beta");
  stage.tick(polls);
  stage.cuts.add("alpha>beta");
  stage.start("beta");
  speak(stage, "alpha", "beta", 3);
  t.is(inside(stage.replica("beta")).core.peers.get("alpha")?.heartbeat?.incarnation, "alpha.x");
  stage.cuts.clear();
  speak(stage, "alpha", "beta", 3 + polls);
  t.is(inside(stage.replica("beta")).core.peers.get("alpha")?.heartbeat?.incarnation, "alpha.1");
  t.deepEqual(stage.states(), ["hot.normal", "following.warm"], "and joined");
});

test("a name that two speak under counts as present in no total loss, and is waited for by name (rule 1, situation 53)", (t) => {
  const stage = Stage.normal();
  stage.do("alpha", "1");
  for (const name of ["alpha", "beta"]) {
    stage.server(name).disk.log = stage.replica(name).log.clone();
    stage.kill(name);
  }
  stage.start("beta");
  stage.cuts.add("beta>alpha");
  stage.start("alpha");
  const { history } = stage.record;
  // Alpha must not go on by itself here: it hears nobody.
  speak(stage, "alpha", "beta", heard);
  t.is(stage.record.history, history);
  t.is(stage.replica("beta").state, "waiting");
  t.regex(stage.replica("beta").waitingFor, /two servers named alpha speak/);
  t.regex(stage.replica("beta").onRecover([], stage.nowMs) ?? "", /two servers named alpha speak: stop one of both/);
  stage.cuts.clear();
  stage.tick(heard + polls);
  t.not(stage.record.history, history, "one of both was stopped");
});

test("a joiner whose name two speak under is not taken in before one of them is gone (rules 1, 8)", (t) => {
  const stage = Stage.normal();
  stage.kill("beta");
  stage.tellGone("beta");
  stage.tick(polls);
  stage.start("beta");
  speak(stage, "beta", "alpha", 1);
  stage.tick(polls + heard);
  t.is(stage.replica("alpha").state, "hot.normal");
  stage.kill("beta");
  stage.tellGone("beta");
  stage.tick(2);
  stage.start("beta");
  speak(stage, "beta", "alpha", 2 * heard);
  t.is(stage.replica("alpha").state, "hot.alone");
  t.is(stage.replica("beta").state, "following.joining");
});

test("a server that nobody counts on refuses, and says nothing, while another of its name is heard; then it goes on (rule 1, situation 53)", (t) => {
  const stage = new Stage();
  stage.start("alpha");
  stage.tick(2);
  stage.do("alpha", "1");
  stage.kill("alpha");
  stage.start("alpha");
  stage.server("alpha").held.add("sync");
  const alpha = () => stage.replica("alpha");
  stage.kill("alpha");
  stage.server("alpha").held.clear();
  // It hears the other one before it has read the registry.
  stage.server("alpha").held.add("readRegistry");
  stage.start("alpha");
  alpha().onNamesake({ incarnation: "alpha.x", hot: true }, stage.nowMs);
  const { epoch } = stage.record;
  const said = stage.sent.length;
  stage.unhold("alpha", "readRegistry");
  stage.tick(3);
  t.is(alpha().state, "refusing");
  t.regex(alpha().waitingFor, /another server named alpha speaks, the incarnation alpha\.x, and serves: stop the one/);
  t.is(stage.sent.length, said);
  t.regex(alpha().onRecover([], stage.nowMs) ?? "", /another server named alpha speaks/);
  t.is(stage.record.epoch, epoch);
  stage.tick(Math.ceil(namesakeMs / limits.heartbeatMs) + polls);
  t.is(alpha().state, "hot.alone");
});

test("a server that has asked who else has its name makes itself the primary only when it has listened (rule 1)", (t) => {
  const stage = new Stage();
  stage.server("alpha").held.add("readRegistry");
  stage.start("alpha");
  stage.replica("alpha").onNamesakesAsked(stage.nowMs + 250, stage.nowMs);
  stage.unhold("alpha", "readRegistry");
  t.is(stage.replica("alpha").state, "consulting");
  stage.tick(2);
  t.is(stage.replica("alpha").state, "consulting");
  stage.tick(2);
  t.is(stage.replica("alpha").state, "hot.alone");
});

test("a primary serves on, whoever else says its name (rule 1)", (t) => {
  const stage = Stage.normal();
  for (let beat = 0; beat < 5; beat += 1) {
    stage.replica("alpha").onNamesake({ incarnation: "alpha.x", hot: false }, stage.nowMs);
    stage.tick();
  }
  t.deepEqual(stage.states(), ["hot.normal", "following.warm"]);
  stage.do("alpha", "1");
  t.deepEqual(stage.replies(), ["1: ok at 1"]);
  t.regex(
    stage
      .replica("alpha")
      .troubles()
      .find(([code]) => code === "server.doubled")?.[1] ?? "",
    /another server named alpha speaks, the incarnation alpha\.x \(this is alpha\.1\)/,
  );
});

test("two of one disk are told from a restart by an answer that the first gave after the second had spoken", (t) => {
  const beat = (incarnation: string, disk?: string): Heartbeat =>
    ({ incarnation, ...(disk === undefined ? {} : { disk }) }) as Heartbeat;
  let voices: readonly Voice[] = [];
  const hear = (incarnation: string, echoed: number, ownBeat: number, nowMs: number, disk = "d1") => {
    voices = hearVoice(voices, beat(incarnation, disk), echoed, ownBeat, nowMs);
    return isDoubled(voices, 500, nowMs);
  };
  t.false(hear("one", 0, 10, 0));
  t.false(hear("two", 0, 12, 100), "a restart");
  t.false(hear("one", 12, 13, 150), "a late word: it was sent before the second was heard");
  t.true(hear("one", 13, 14, 200));
  t.false(isDoubled(voices, 500, 800), "both are silent since");
  voices = [];
  t.false(hear("one", 0, 1, 0));
  t.true(hear("two", 0, 2, 100, "d2"), "two disks");
  t.false(isDoubled(voices, 500, 550), "the first one is silent: its disk was replaced");
});
