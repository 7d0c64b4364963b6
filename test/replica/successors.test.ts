/** Three servers: the role is offered to one that has what the switch is for, and no other one is left out (rule 9, clean stop). */
import test, { type ExecutionContext } from "ava";
import { limits, Stage } from "./stage.ts";

const polls = Math.ceil(limits.registryPollMs / limits.heartbeatMs) + 1;
const untilRegistryIsLost = Math.ceil((limits.registryLostMs + limits.registryPollMs) / limits.heartbeatMs) + 1;

/** Three servers in sync, of which these have no NATS: their links over it carry nothing. */
function threeWithout(...names: readonly string[]): Stage {
  const stage = Stage.normal({ servers: ["alpha", "beta", "gamma"] });
  stage.tick(4);
  for (const name of names) {
    stage.replica(name).onBus(false, stage.nowMs);
    stage.unanswered.add(name);
    for (const other of stage.servers.keys())
      stage.cuts.add(`${name}>${other} failsafe`).add(`${other}>${name} failsafe`);
  }
  return stage;
}

test("the primary and the first backup lose NATS: the role goes to the one that has it (rule 9, situation 44)", (t) => {
  const stage = threeWithout("alpha", "beta");
  stage.tick(2 * Math.ceil(limits.suspicionMs / limits.heartbeatMs) + 4);
  t.is(stage.record.primary.server, "gamma");
  t.is(stage.record.mode, "normal");
  t.is(stage.replica("gamma").state, "hot.normal");
});

test("a primary stops, and of its backups one has NATS: that one takes the role over (clean stop)", (t) => {
  const stage = threeWithout("beta");
  stage.tick(3);
  stage.stop("alpha");
  stage.tick(4);
  t.is(stage.record.primary.server, "gamma");
  t.is(stage.lastSent("alpha", "handover").to, "gamma.1");
});

test("a switch ends at once when nobody is left who has what it needs (clean stop)", (t) => {
  const stage = threeWithout("beta");
  stage.unanswered.add("gamma");
  stage.tick(polls);
  stage.stop("alpha");
  stage.tick();
  t.is(stage.replica("alpha").state, "hot.switching");
  t.is(stage.lastSent("alpha", "handover").to, "gamma.1");
  stage.replica("gamma").onBus(false, stage.nowMs);
  stage.tick(2);
  t.is(stage.replica("alpha").state, "hot.normal");
});

test("one backup that has had NATS for long is enough, whatever another one has (rule 9)", (t) => {
  const stage = threeWithout("alpha", "beta");
  stage.tick(4);
  stage.replica("beta").onBus(true, stage.nowMs);
  stage.tick(4);
  t.is(stage.record.primary.server, "gamma");
});

test("a primary without the registry hands over to the backup that the registry answers (situation 38)", (t) => {
  const stage = Stage.normal({ servers: ["alpha", "beta", "gamma"] });
  stage.tick(4);
  for (const name of ["alpha", "beta"]) stage.unanswered.add(name);
  stage.tick(untilRegistryIsLost + 6);
  t.is(stage.record.primary.server, "gamma");
});

test("one backup that the registry has answered for long is enough, whatever another one has (situation 38)", (t) => {
  const stage = Stage.normal({ servers: ["alpha", "beta", "gamma"] });
  stage.tick(4);
  for (const name of ["alpha", "beta"]) stage.unanswered.add(name);
  stage.tick(untilRegistryIsLost - polls - 2);
  stage.unanswered.delete("beta");
  stage.tick(polls + 8);
  t.not(stage.record.primary.server, "alpha");
});

test("an operator's switch goes to a backup that can take the role (planned switch)", (t) => {
  const stage = threeWithout("beta");
  stage.tick(polls);
  t.is(stage.replica("alpha").onSwitch(stage.nowMs), null);
  stage.tick(3);
  t.is(stage.record.primary.server, "gamma");
});

// The second is so long that one offer outlasts `stopMs`.
for (const suspicionMs of [limits.suspicionMs, limits.stopMs / 2])
  test(`a backup that did not take the role is offered it after the others, and none is left out: suspicion ${suspicionMs} ms (clean stop)`, (t) => {
    const stage = Stage.normal({
      servers: ["alpha", "beta", "gamma"],
      replica: { limits: { ...limits, suspicionMs } },
    });
    stage.tick(4);
    // Beta hears no offer.
    stage.server("alpha").held.add("send");
    const deliver = () => {
      for (const entry of stage.server("alpha").waiting.splice(0))
        if (entry.type === "send" && (entry.message.type !== "handover" || entry.to !== "beta"))
          stage.perform(stage.server("alpha"), entry);
      stage.run();
    };
    const tick = (times: number) => {
      for (let done = 0; done < times; done += 1) {
        stage.tick();
        deliver();
      }
    };
    stage.stop("alpha");
    tick((4 * suspicionMs) / limits.heartbeatMs);
    t.is(stage.record.primary.server, "alpha", "beta has its time");
    tick(6);
    t.is(stage.record.primary.server, "gamma");
    t.is(stage.record.mode, "normal");
  });

test("the only program that could serve dies: one of those that can make nothing of the state takes the role (rule 19, situation 144)", (t) => {
  const program = (version: number) => ({ application: "a", version, catalog: "2:c" });
  const servers = ["alpha", "beta", "gamma"] as const;
  for (const readers of [["alpha"], ["alpha", "gamma"]] as const) {
    const programs = { alpha: program(2), beta: program(1), gamma: program(1) };
    const stage = Stage.normal({ servers: [...servers], programs });
    for (const name of servers.filter((one) => !(readers as readonly string[]).includes(one)))
      stage.replica(name).onStateRead("tables of version 2", stage.nowMs);
    stage.tick(2);
    stage.kill("alpha");
    stage.tellGone("alpha");
    stage.tick(2);
    t.is(stage.record.mode, "normal");
    if (readers.length === 1) t.not(stage.record.primary.server, "alpha", "either of the two");
    else t.is(stage.record.primary.server, "gamma", "it is left to the one that can serve");
  }
});

test("a backup whose views are still being made takes no role that is offered (rule 19, situation 143)", (t) => {
  const stage = Stage.normal();
  stage.tick(polls);
  const ask = () => {
    t.is(stage.replica("alpha").onSwitch(stage.nowMs), null);
    stage.tick(2);
    return stage.record.primary.server;
  };
  stage.replica("beta").onViews(false, stage.nowMs);
  t.is(ask(), "alpha");
  stage.tick(5 * Math.ceil(limits.suspicionMs / limits.heartbeatMs));
  t.is(stage.replica("alpha").state, "hot.normal", "it serves on");
  stage.replica("beta").onViews(true, stage.nowMs);
  t.is(ask(), "beta");
});

/** Beta, of an older program, has the state of a newer one in its log, is about to learn that it is committed, and is offered the role. */
function offered(t: ExecutionContext) {
  const program = (version: number) => ({ application: "a", version, catalog: `${version}:c` });
  const stage = Stage.normal({ programs: { alpha: program(2), beta: program(1) } });
  stage.tick(polls);
  const alpha = stage.replica("alpha");
  const effects = new Uint8Array(0);
  alpha.onCatalog({ name: "2:c", effects, catalog: "{}" }, stage.nowMs, stage.wallMs);
  stage.server("alpha").hasInput = true;
  stage.run();
  const { log, committed } = stage.replica("beta");
  t.deepEqual(
    [log.last, alpha.committed, committed],
    [1, 1, 0],
    "beta has it, and does not know yet that it is committed",
  );
  const sends = stage.server("alpha").held.add("send");
  t.is(alpha.onSwitch(stage.nowMs), null);
  stage.server("alpha").hasInput = true;
  stage.run();
  const offers = stage
    .server("alpha")
    .waiting.flatMap((entry) => (entry.type === "send" && entry.message.type === "handover" ? [entry.message] : []));
  sends.delete("send");
  const [offer] = offers;
  if (offer === undefined) throw new Error("the role is not offered");
  return { stage, beta: stage.replica("beta"), offer };
}

test("two offers of the role in one turn, the first of which brings the state of a newer program: neither is taken (rule 19)", (t) => {
  const { stage, beta, offer } = offered(t);
  const judged = stage.server("beta").held.add("apply");
  for (let times = 0; times < 2; times += 1) beta.onMessage("alpha", "main", offer, new Uint8Array(0), stage.nowMs);
  t.is(beta.state, "following.warm");
  stage.server("beta").hasInput = true;
  stage.run();
  beta.onStateRead("tables of version 2", stage.nowMs);
  judged.delete("apply");
  stage.unhold("beta", "apply");
  stage.tick(2);
  t.is(stage.record.primary.server, "alpha");
});

test("its primary is lost in the turn that brings it the state of a newer program: it asks for the role when it has seen that (rule 19)", (t) => {
  const { stage, beta, offer } = offered(t);
  beta.onMessage("alpha", "main", offer, new Uint8Array(0), stage.nowMs);
  stage.kill("alpha");
  for (const link of ["main", "failsafe"] as const) beta.onLink("alpha", link, false, stage.nowMs);
  beta.endTurn(stage.nowMs, stage.wallMs);
  t.is(beta.state, "following.warm");
  stage.run();
  stage.tick(2);
  t.is(stage.record.primary.server, "beta", "nobody else is left");
});
