/** What a life tells Prometheus: requests, duplicates and refusals as they are, and nothing that a client named. */
import test from "ava";
import { z } from "zod";
import { defineApplication } from "../../actors/application/define.ts";
import { Meters } from "../../actors/operator/meters.ts";
import { type MetricsSource, metrics } from "../../actors/operator/metrics.ts";
import type { ProcessFacts, Sample } from "../../actors/world/ports.ts";
import { subjects } from "../../schemas/subjects.ts";
import { OneServer, service } from "../helpers/one-server.ts";

const counter = defineApplication({
  name: "counter",
  request: z.strictObject({ add: z.int() }),
  result: z.strictObject({}),
  key: () => "k",
  tables: { counters: z.object({ value: z.int() }) },
  handle: async ({ add }, { transaction }) => {
    if (add < 0) throw new Error("less than nothing");
    return transaction("add", (tx) => {
      tx.put("counters", `c${add}`, { value: add });
      return {};
    });
  },
  queries: { value: { body: z.strictObject({}), answer: () => 1 } },
});

const ownProcess: ProcessFacts = {
  cpuSeconds: 1,
  residentBytes: 2,
  heapBytes: 3,
  startedAtSeconds: 4,
  delaySeconds: { p99: 0.01, max: 0.2 },
};

function sourceOf(server: OneServer | null, meters: Meters): MetricsSource {
  const facts = server === null ? null : { ...server.life.facts, ...server.life.numbers };
  return { version: "1.2.3", application: "counter", facts, meters, process: ownProcess };
}

function readAll(source: MetricsSource): Map<string, readonly Sample[]> {
  return new Map(
    metrics.map((metric) => {
      if (metric.type !== "histogram") return [metric.name, metric.read(source)];
      const { counts } = metric.read(source);
      return [metric.name, [{ value: Array.from(counts).reduce((sum, each) => sum + each, 0) }]];
    }),
  );
}

async function started() {
  const meters = new Meters();
  const settings = { limits: { cautionMs: 0 } };
  const server = new OneServer({ application: counter, meters, settings });
  await server.run(2_000);
  const ask = async (id: string, body: unknown, client = "alice", more: object = {}) => {
    const subject = subjects.request(service, "k", client);
    server.bus.publish(subject, Buffer.from(JSON.stringify({ client, id, body, ...more })), undefined, `_INBOX.${id}`);
    await server.run(50);
  };
  const value = (name: string, label = "") => {
    const samples = readAll(sourceOf(server, meters)).get(`twinlog_${name}`) ?? [];
    return samples.find(({ labels = {} }) => label === "" || Object.values(labels).includes(label))?.value;
  };
  return { server, meters, ask, value };
}

test("requests, duplicates and refusals are counted once each, by their code, and what was done is measured", async (t) => {
  const { ask, value } = await started();
  await ask("1", { add: 1 });
  await ask("2", { add: 2 });
  await ask("2", { add: 2 });
  await ask("2", { add: 3 });
  await ask("3", { add: -1 });
  await ask("4", "no body");
  await ask("5", { add: 5 }, "alice", { after: "never" });
  t.is(value("requests_received_total"), 7);
  t.is(value("request_duplicates_total"), 1);
  t.deepEqual(
    ["ID_REUSED", "INVALID_REQUEST", "OUT_OF_ORDER", "BUSY", "EXPIRED"].map((code) => value("refusals_total", code)),
    [1, 1, 1, 0, 0],
  );
  t.is(value("handler_failures_total"), 1);
  t.is(value("request_duration_seconds"), 3, "what became a record and was answered");
  t.true((value("sync_duration_seconds") ?? 0) >= 3, "it is alone");
  t.true((value("flush_duration_seconds") ?? 0) > 0);
  t.is(value("mirror_duration_seconds"), 0);
  t.is(value("sequence"), 5, "an async handler's transaction is a record of its own");
  t.is(value("state_rows"), 2);
  t.is(value("remembered_replies"), 3);
  t.is(value("takeovers_total", "start"), 1);
});

test("from a request's arrival to its answer counts the time in which its handler and its disk were waited for", async (t) => {
  const { server, meters, ask } = await started();
  let open = () => {};
  server.store.gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  await ask("1", { add: 1 });
  await server.run(700);
  t.is(meters.requests.sum, 0, "it is not answered");
  open();
  await server.run(50);
  t.true(meters.requests.sum > 0.7 && meters.requests.sum < 0.9, String(meters.requests.sum));
});

test("before there is a life only what is known is told; what is not known of one is left out", async (t) => {
  const { server, meters, value } = await started();
  const told = readAll(sourceOf(null, meters));
  for (const name of ["twinlog_epoch", "twinlog_role", "twinlog_trouble_open"]) t.deepEqual(told.get(name), [], name);
  t.deepEqual(told.get("twinlog_live"), [{ value: 1 }]);
  t.deepEqual(told.get("twinlog_ready"), [{ value: 0 }]);
  t.is(value("lag_records"), undefined, "it follows nobody");
  t.is(value("certificate_expiry_timestamp_seconds"), undefined);
  t.is(value("last_backup_timestamp_seconds"), undefined, "no server knows of one, which is no backup of 1970");
  t.is(value("trouble_open", "backup.lost"), 1);
  t.is(value("trouble_open", "nats.lost"), 0);
  t.is(value("registry_reachable"), 1);
  t.is(value("registry_last_error_timestamp_seconds"), undefined);
  server.life.onFault({ kind: "publish", subject: "exchange.result.k.alice", reason: "not allowed" });
  t.is(value("nats_faults_total", "publish"), 1);
});

test("no label is a client's word, and a client adds no series", async (t) => {
  const { server, meters, ask } = await started();
  const labels = () =>
    JSON.stringify([...readAll(sourceOf(server, meters))].map(([, all]) => all.map((one) => one.labels)));
  await ask("first", { add: 1 }, "mallory");
  const before = labels();
  for (let nth = 0; nth < 20; nth += 1) await ask(`n${nth}`, nth % 2 === 0 ? { add: nth } : "odd", `mallory${nth}`);
  t.is(labels(), before);
  t.notRegex(before, /mallory|first/);
});

test("names are Prometheus': one prefix, base units, counters end in _total, and each once", (t) => {
  const names = metrics.map(({ name }) => name);
  t.is(new Set(names).size, names.length);
  for (const { name, type, help } of metrics) {
    t.regex(name, /^(twinlog|process|nodejs)_[a-z0-9_]+$/);
    t.is(name.endsWith("_total"), type === "counter", name);
    t.notRegex(name, /_(ms|milliseconds|kb|mb|percent|count|sum|bucket)(_|$)/, name);
    t.true(help.length > 5 && !help.endsWith("."), name);
  }
});

test("becoming the primary is told by its reason", (t) => {
  const meters = new Meters();
  for (const [from, to] of [
    ["candidate.asking", "hot.alone"],
    ["candidate.electing", "hot.normal"],
    ["receiving", "hot.normal"],
    ["following.unsettled", "hot.normal"],
    ["claiming.asking", "hot.alone"],
    ["hot.alone", "hot.adding"],
    ["hot.normal", "deposed"],
  ] as const)
    meters.onEvent(from, to);
  t.deepEqual(meters.takeovers, { lost: 2, switch: 2, start: 1 });
});
