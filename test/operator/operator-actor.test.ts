/** What a server says of itself to operators: all that a status needs to tell who is there, and what is wrong. */
import test from "ava";
import { z } from "zod";
import { defineApplication } from "../../actors/application/define.ts";
import { Meters } from "../../actors/operator/meters.ts";
import { answerBounds, RecentEvents, ServerEvent, ServerStatus } from "../../schemas/status.ts";
import { inboxes, subjects } from "../../schemas/subjects.ts";
import { bytesOf } from "../helpers/hand-world.ts";
import { OneServer, service } from "../helpers/one-server.ts";

const nothing = defineApplication({
  name: "nothing",
  request: z.strictObject({}),
  result: z.strictObject({}),
  key: () => "k",
  handle: (_body, { transaction }) => transaction("nothing", () => ({})),
});

const lastStatus = (server: OneServer) =>
  ServerStatus.parse(JSON.parse(server.published(subjects.status(service, "alpha")).at(-1) ?? ""));

test("a status names the configured servers and whom the record counts on, and carries the open troubles with their time", async (t) => {
  const server = new OneServer({ application: nothing });
  await server.run(2_000);
  const { record, peers, statusMs, troubles, state } = lastStatus(server);
  t.is(state, "hot.alone");
  t.deepEqual(record?.primary, { server: "alpha", incarnation: "alpha-1" });
  t.is(record?.inSync.length, 1);
  t.like(record?.inSync[0], { server: "alpha", incarnation: "alpha-1" });
  t.regex(record?.inSync[0]?.disk ?? "", /^\w+$/, "and on which disk");
  t.deepEqual(peers, [{ name: "beta", silentMs: null }], "it was never heard in this life");
  t.is(statusMs, 250);
  t.deepEqual(
    troubles.map(({ code }) => code),
    ["backup.lost"],
  );
  t.true((troubles[0]?.sinceMs ?? 0) <= server.clock.wallMs());
});

test("a status tells no trouble that is over, also when it comes before the next tick", async (t) => {
  const server = new OneServer({ application: nothing });
  await server.run(2_000);
  t.is(lastStatus(server).troubles[0]?.code, "backup.lost");
  server.life.stop();
  await server.run(10);
  t.like(lastStatus(server), { role: "none", troubles: [] });
});

test("the failover agent's answer has the last transitions, and no more than a hundred", async (t) => {
  const server = new OneServer({ application: nothing });
  await server.run(2_000);
  const recent = async () => {
    server.bus.publish(subjects.actor(service, "alpha", "failover"), new Uint8Array(0), undefined, "_INBOX.asker.1");
    await server.run(10);
    return RecentEvents.parse(JSON.parse(server.published("_INBOX.asker.1").at(-1) ?? "")).events;
  };
  const first = await recent();
  t.deepEqual(
    first.map(({ to }) => to),
    ["consulting", "claiming.syncing", "claiming.asking", "hot.alone"],
  );
  t.regex(first.at(-1)?.why ?? "", /^won epoch/);
  for (let times = 0; times < 60; times += 1) {
    const verb = times % 2 === 0 ? "pause" : "resume";
    server.bus.publish(subjects.control(service, "alpha", verb), bytesOf({}), undefined, "_INBOX.asker.2");
    await server.run(300);
  }
  const last = await recent();
  t.is(last.length, 100);
  t.is(last.at(-1)?.to, "hot.alone");
});

test("a command that is obeyed is told with who gave it, and is no transition; one whose giver is no name is not obeyed", async (t) => {
  const server = new OneServer({ application: nothing });
  await server.run(2_000);
  const say = async (verb: string, body: object, operator?: string) => {
    server.bus.publish(subjects.control(service, "alpha", verb, operator), bytesOf(body), undefined, "_INBOX.asker.1");
    await server.run(300);
    return JSON.parse(server.published("_INBOX.asker.1").at(-1) ?? "") as { ok: boolean; message: string };
  };
  const commands = () =>
    server
      .published(subjects.event(service, "alpha"))
      .map((text) => ServerEvent.parse(JSON.parse(text)))
      .filter(({ machine }) => machine === "operator");
  t.true((await say("pause", { by: "ivan", forMs: 60_000 }, "olga")).ok);
  t.like(commands()[0], {
    event: "pause",
    from: "hot.alone",
    to: "hot.alone",
    why: "pause by olga: intake is paused, for 60 s",
  });
  t.true((await say("resume", {})).ok);
  t.is(commands()[1]?.why, "resume by an operator who gave no name: intake goes on");
  t.false((await say("switch", {}, "olga")).ok);
  t.is(commands().length, 2, "what was refused did not happen");
  const unfit = /^what the command says does not fit \(by: /;
  t.regex((await say("pause", { by: "olga\nivan" })).message, unfit);
  t.regex((await say("pause", {}, "olga\nivan")).message, unfit);
  server.bus.publish(
    `${subjects.control(service, "alpha", "pause", "olga")}.more`,
    bytesOf({}),
    undefined,
    "_INBOX.asker.1",
  );
  await server.run(300);
  t.is(commands().length, 2);
  t.true((await say("pause", { by: "olga" })).ok);
  t.is(commands()[2]?.why, "pause by somebody who says to be olga: intake is paused");
});

test("a status tells what its process takes of memory and how long requests took, where somebody can make something of that", async (t) => {
  const meters = new Meters();
  const server = new OneServer({ application: nothing, meters, residentBytes: () => 5_000 });
  meters.requests.observe(3);
  meters.requests.observe(90_000);
  await server.run(2_000);
  const answered = [0, 0, 0, 1, ...Array.from({ length: answerBounds.length - 4 }, () => 0), 1];
  t.deepEqual(lastStatus(server).load, { residentBytes: 5_000, answered });
  const other = new OneServer({ application: nothing });
  await other.run(2_000);
  t.is(lastStatus(other).load, undefined);
});

test("a status tells what each of its machines is in, and how many requests were executed", async (t) => {
  const server = new OneServer({ application: nothing });
  await server.run(2_000);
  const { machines, results } = lastStatus(server);
  t.like(machines, {
    application: "hot",
    checkpoint: "idle",
    mirrors: [{ peer: "beta", state: "none", confirmed: 0 }],
  });
  t.deepEqual(
    machines?.links.map(({ peer }) => peer),
    ["beta"],
  );
  t.regex(machines?.links[0]?.state ?? "", /^main\.\w+, failsafe\.\w+, peer\.\w+$/);
  t.is(results, 0);
});

test("with reply prefixes whoever has its name is answered, and what wants no answer is not judged by its reply subject", async (t) => {
  const server = new OneServer({ application: nothing, settings: { replyPrefixes: ["_INBOX.client."] } });
  await server.run(2_000);
  const ask = async (data: string, reply: string) => {
    server.bus.publish(subjects.actor(service, "alpha", "failover"), Buffer.from(data), undefined, reply);
    await server.run(10);
    return server.published(reply);
  };
  const [own, others] = [`${inboxes.server(service, "alpha")}.1`, `${inboxes.server(service, "beta")}.1`];
  t.is((await ask("", own)).length, 1);
  t.deepEqual(await ask("a frame of the failsafe link", others), []);
  server.bus.publish(subjects.status(service, "alpha"), bytesOf({}), undefined, others);
  await server.run(10);
  const dropped = () => server.warnings.filter((line) => line.includes("no answer may go"));
  t.deepEqual(dropped(), []);
  t.deepEqual(await ask("", others), []);
  t.is(dropped().length, 1);
});
