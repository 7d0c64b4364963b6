/** `twinlog recover` and the incarnation that commands name: what is asked of whom before anything is begun (rules 1, 18). */
import test from "ava";
import type { Standing } from "../../schemas/standing.ts";
import { parseControlSubject, subjects } from "../../schemas/subjects.ts";
import { bytesOf } from "../helpers/hand-world.ts";
import { makeRig } from "./rig.ts";
import { standingOf as standing } from "./standing-of.ts";

/** Servers that say how they stand and do what they are told, where it is told to their incarnation. */
function serve(rig: ReturnType<typeof makeRig>, standings: readonly Standing[]): string[] {
  const obeyed: string[] = [];
  for (const one of standings) {
    const { server, incarnation } = one;
    rig.bus.subscribe(subjects.actor("exchange", server, "failover"), ({ reply }) =>
      rig.bus.publish(reply, bytesOf(one)),
    );
    rig.bus.subscribe(subjects.controls("exchange", server), ({ subject, data, reply }) => {
      const body = JSON.parse(Buffer.from(data).toString()) as { incarnation?: string; despite?: string[] };
      const isMeant = body.incarnation === undefined || body.incarnation === incarnation;
      rig.bus.publish(reply, bytesOf({ ok: isMeant, message: isMeant ? "done" : "another was meant", incarnation }));
      if (!isMeant) return;
      const verb = parseControlSubject(subject)?.verb ?? "";
      obeyed.push(`${incarnation} ${verb} ${(body.despite ?? []).join(" ")}`.trim());
      const place = { epoch: 6, history: "h2", sequence: 10 };
      const signal = { signal: "ready", service: "exchange", server, incarnation, ...place };
      if (verb === "recover") rig.bus.publish(subjects.signal("exchange"), bytesOf(signal));
    });
  }
  return obeyed;
}

const force = ["recover", "--server", "beta", "--accept-loss"];
const empty = standing("beta", { history: "", lastEpoch: 0, last: 0, lastResult: 0, lastStampMs: 0 });

test("recover asks every configured server, refuses beside a newer copy, and names it (rule 18)", async (t) => {
  const rig = makeRig();
  const obeyed = serve(rig, [standing("alpha"), empty]);
  const refused = await rig.run([...force, "--yes"]);
  t.is(refused.status, 1);
  t.regex(refused.err, /alpha is at hand with a newer copy, alpha@h1\/5\/10, than beta's, beta@-\/0\/0: recover there/);
  t.deepEqual(obeyed, []);
  const ran = await rig.run([...force, "--yes", "--despite", "alpha@h1/5/10"]);
  t.is(ran.status, 0, ran.err);
  t.regex(
    ran.out,
    /lost: what alpha@h1\/5\/10 has beyond that: 10 records, results 1 to 8, the last of 2026-01-02T00:00/,
  );
  t.deepEqual(obeyed, ["beta.1 recover alpha@h1/5/10"]);
});

test("recover says what would be lost and asks; without a terminal it needs --yes", async (t) => {
  const rig = makeRig();
  const obeyed = serve(rig, [standing("beta", { configured: ["alpha", "beta", "gamma"] }), standing("gamma")]);
  const silent = await rig.run(force);
  t.is(silent.status, 1);
  t.regex(
    silent.out,
    /beta goes on with beta@h1\/5\/10, result 8, the last of .*\nlost: what only alpha has, which does not answer/,
  );
  t.regex(silent.err, /no terminal to ask at: add --yes/);
  t.regex((await rig.run(force, { confirms: false })).err, /nothing was done/);
  t.deepEqual(obeyed, []);
  t.is((await rig.run(force, { confirms: true })).status, 0);
  t.deepEqual(obeyed, ["beta.1 recover"]);
});

test("recover is refused beside a primary that serves, and where two servers have one name (rule 18)", async (t) => {
  const alpha = { server: "alpha", incarnation: "alpha.1" };
  const record = {
    service: "exchange",
    history: "h1",
    epoch: 5,
    mode: "primary-only" as const,
    writeId: "w",
    previousWriteId: "v",
    primary: alpha,
    inSync: [alpha],
    durability: "disk" as const,
    base: { sequence: 4, hash: 1 },
    schema: "s",
  };
  const rig = makeRig();
  const obeyed = serve(rig, [standing("alpha", { hot: true, record, state: "hot.alone" }), standing("beta")]);
  t.regex((await rig.run([...force, "--yes"])).err, /alpha is the primary and serves/);
  const twice = makeRig();
  const other = serve(twice, [standing("beta"), standing("beta", { incarnation: "beta.9", last: 0 })]);
  t.regex(
    (await twice.run([...force, "--yes"])).err,
    /two servers are named beta, the incarnations beta\.1 and beta\.9/,
  );
  t.deepEqual([...obeyed, ...other], []);
});

test("a command names the incarnation that was seen: of two of one name the one that serves obeys (rule 1)", async (t) => {
  const rig = makeRig();
  const stranger = standing("alpha", { incarnation: "alpha.9", last: 0 });
  const obeyed = serve(rig, [stranger, standing("alpha", { hot: true })]);
  const ran = await rig.run(["pause", "--server", "alpha"]);
  t.is(ran.status, 0, ran.err);
  t.deepEqual(obeyed, ["alpha.1 pause"]);
  const idle = makeRig();
  serve(idle, [stranger, standing("alpha")]);
  t.regex((await idle.run(["pause", "--server", "alpha"])).err, /two servers are named alpha/);
});
