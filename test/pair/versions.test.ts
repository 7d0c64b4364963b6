/** Another version of the application, with real servers: one at a time or all at once, under load, with kills in between. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test, { type ExecutionContext } from "ava";
import { runCommand } from "../../deploy/nats/command.ts";
import { type Pair, startPair } from "../helpers/pair/pair.ts";
import { one, renamed, two, type wider } from "../helpers/pair/tallies.ts";
import { until } from "../helpers/until.ts";

type Version = "one" | "renamed" | "unknown" | "wider" | "two" | "broken";

const twinlog = fileURLToPath(new URL("../../deploy/twinlog.js", import.meta.url));
const tallies = fileURLToPath(new URL("../helpers/pair/tallies.js", import.meta.url));

/** A pair whose servers run what the module beside their settings says, from their next start on. */
async function startVersions(t: ExecutionContext, restartMs?: number): Promise<Pair> {
  const pair = await startPair(t, {
    start: [],
    settings: (server) => ({ application: `./${server}.mjs` }),
    ...(restartMs === undefined ? {} : { restartMs }),
  });
  for (const name of pair.servers.keys()) await program(pair, name, "one");
  for (const server of pair.servers.values()) server.start();
  await pair.normal();
  return pair;
}

function program(pair: Pair, name: string, version: Version): Promise<void> {
  return writeFile(
    join(pair.folder, `${name}.mjs`),
    `export { ${version} as application } from ${JSON.stringify(`file://${tallies}`)};\n`,
  );
}

/** Stops it, or kills it, and starts it as another version. */
async function replace(pair: Pair, name: string, version: Version, how: "stop" | "kill" = "stop"): Promise<void> {
  const server = pair.server(name);
  await (how === "stop" ? server.stop() : server.close());
  await program(pair, name, version);
  server.start();
}

const codesOf = (pair: Pair, name: string) => pair.status(name)?.troubles.map(({ code }) => code) ?? [];

/** One request after another until it is told to end; each adds one, so that the answers count what was done. */
async function load(pair: Pair): Promise<() => Promise<number>> {
  const client = await pair.client<typeof one>({ client: "load", application: one });
  const over = new AbortController();
  const done = (async () => {
    let count = 0;
    while (!over.signal.aborted) {
      const { result } = await client.request({ tally: "load", add: 1 }, { deadlineMs: 60_000 });
      count += 1;
      if (result.value !== count) throw new Error(`answer ${count} says ${result.value}`);
    }
    return count;
  })();
  done.catch(() => undefined);
  return () => {
    over.abort();
    return done;
  };
}

test("a rolling upgrade under load: back before it is too late, a kill in the middle, nothing lost or done twice", async (t) => {
  const pair = await startVersions(t);
  const body = { tally: "kept", add: 7 };
  const first = await pair.ask(body, { client: "old", id: "1", key: "kept" });
  t.is(first.reply.ok, true);
  const end = await load(pair);

  // The backup first. As long as it has not been the primary, there is a way back.
  await replace(pair, "beta", "two");
  await pair.normal();
  await until(() => codesOf(pair, "beta").includes("program.newer"), {
    withinMs: 60_000,
    waitedFor: "the last word before it is too late",
  });
  t.deepEqual(pair.status("beta")?.program, { application: "tallies", version: 2, state: 1 });
  await replace(pair, "beta", "one");
  await pair.normal();
  await replace(pair, "beta", "two");
  await pair.normal();

  // It takes the role, and migrates; the old primary keeps what it is given, and says that it could not serve.
  t.true((await pair.control("alpha", "switch")).ok);
  await until(() => codesOf(pair, "alpha").includes("program.old"), {
    withinMs: 60_000,
    waitedFor: "alpha to say that its program is old",
  });
  t.is(pair.status("alpha")?.role, "backup", "it goes on as a member");
  // Until it has heard that of alpha it offers the role, which alpha does not take.
  await until(
    async () => {
      const { ok, message } = await pair.control("beta", "switch");
      return !ok && /the program of alpha is older than the state/.test(message);
    },
    { withinMs: 60_000, waitedFor: "beta to refuse to switch to an older program" },
  );
  t.is(pair.status("beta")?.role, "primary");

  // The newer one dies: the older one has everything, takes the role and serves nobody, until a newer one is back.
  await pair.server("beta").kill();
  await until(() => codesOf(pair, "alpha").includes("state.other"), {
    withinMs: 60_000,
    waitedFor: "alpha to say that it cannot serve",
  });
  pair.server("beta").start();
  await pair.waitFor("beta", ({ role, application }) => role === "primary" && application === "hot");
  await pair.normal();

  await replace(pair, "alpha", "two");
  await pair.normal();
  t.deepEqual([...codesOf(pair, "alpha"), ...codesOf(pair, "beta")], []);
  await pair.server("beta").kill();
  await pair.waitFor("alpha", ({ role, application }) => role === "primary" && application === "hot");
  const count = await end();
  t.true(count > 0);

  const client = await pair.client<typeof two>({ client: "reader", application: two });
  const { result } = await client.query<{ rows: Record<string, { value: number; turns: number }>; sums: unknown }>({
    query: "all",
  });
  t.is(result.rows["load"]?.value, count);
  t.true((result.rows["load"]?.turns ?? 0) < count, "what was done before the migration has no turns");
  t.deepEqual(result.rows["kept"], { value: 7, turns: 0 });
  t.deepEqual(result.sums, { tallies: 2 }, "each row was migrated once");
  // By a program whose schema fills in a default, and whose result has another field.
  const again = await pair.askUntilAnswered(body, { client: "old", id: "1", key: "kept" });
  t.is(again.text, first.text);
});

test("all at once: a table, a field and a default need no version; one that is broken changes nothing, and says where", async (t) => {
  const pair = await startVersions(t);
  const body = { tally: "a", add: 1 };
  const first = await pair.ask(body, { client: "c", id: "1", key: "a" });
  const all = async (version: Version) => {
    for (const server of pair.servers.values()) await server.stop();
    for (const name of pair.servers.keys()) await program(pair, name, version);
    for (const server of pair.servers.values()) server.start();
  };
  await all("wider");
  await pair.normal();
  t.is(
    (await pair.askUntilAnswered(body, { client: "c", id: "1", key: "a" })).text,
    first.text,
    "answered again, not reused",
  );
  const second = await pair.client<typeof wider>({ client: "d" });
  t.deepEqual((await second.request({ tally: "a", add: 1, note: "n" }, { key: "a" })).result, { value: 2, note: "n" });

  await all("one");
  for (const server of pair.servers.values()) {
    await until(() => server.pid === null, { withinMs: 60_000, waitedFor: "it to refuse its store" });
    t.regex(
      server.lines.join("\n"),
      /what is stored does not fit this program: table tallies: field note is gone; table notes: it is gone/,
    );
  }
  for (const name of pair.servers.keys()) await program(pair, name, "broken");
  for (const server of pair.servers.values()) server.start();
  // The sole member alone comes so far.
  const isTold = () => [...pair.servers.values()].some(({ lines }) => lines.join("\n").includes("after the migration"));
  await until(isTold, { withinMs: 60_000, waitedFor: "a migration that fails" });
  t.regex(
    [...pair.servers.values()].flatMap(({ lines }) => lines).join("\n"),
    /after the migration to version 2 tallies\/a is not what its schema says: turns/,
  );
  for (const server of pair.servers.values()) await server.close();

  // The same, beforehand: on what a server left behind, and on a backup of it.
  const tried = async (version: Version, source: string) => {
    await program(pair, "tried", version);
    const words = ["migrate", "--check", source, "--application", join(pair.folder, "tried.mjs")];
    return await runCommand(process.execPath, [twinlog, ...words], { timeoutMs: 30_000 });
  };
  const backup = join(pair.folder, "today.backup");
  const data = join(pair.folder, "beta");
  const made = await runCommand(process.execPath, [twinlog, "backup", backup, "--data", data], { timeoutMs: 30_000 });
  t.is(made.status, 0, made.stderr);
  for (const source of [data, backup]) {
    const fails = await tried("broken", source);
    t.is(fails.status, 1);
    t.regex(fails.stderr, /^twinlog: after the migration to version 2 tallies\/a is not what its schema says: turns/);
    t.regex((await tried("one", source)).stderr, /table notes: it is gone/);
    t.regex((await tried("wider", source)).stdout, /nothing is to be migrated/);
    const works = await tried("two", source);
    t.is(works.status, 0, works.stderr);
    t.regex(works.stdout, /as of record \d+: version 1 becomes version 2: \d+ rows and items in \d+ records/);
  }
  await all("two");
  await pair.normal();
  const reader = await pair.client<typeof two>({ client: "reader" });
  const { result } = await reader.query({ query: "all" });
  t.like(result, { rows: { a: { value: 2, turns: 0 } }, sums: { tallies: 1 } });
});

test("an application is renamed under load, with kills in between; one that does not say what it was called is told what to say", async (t) => {
  const pair = await startVersions(t);
  const body = { tally: "kept", add: 7 };
  const first = await pair.ask(body, { client: "old", id: "1", key: "kept" });
  const end = await load(pair);

  await replace(pair, "beta", "unknown");
  const beta = pair.server("beta");
  await until(() => beta.pid === null, { withinMs: 60_000, waitedFor: "it to refuse its store" });
  t.regex(
    beta.lines.join("\n"),
    /the data is the application tallies's, and this program is scores: one that was renamed says storedAs/,
  );
  await replace(pair, "beta", "renamed", "kill");
  await pair.normal();
  // The old program dies, the renamed one goes on, and the old one may even come back.
  await pair.server("alpha").kill();
  await pair.waitFor("beta", ({ role, application }) => role === "primary" && application === "hot");
  pair.server("alpha").start();
  await pair.normal();
  await replace(pair, "alpha", "renamed", "kill");
  await pair.normal();
  await pair.server("beta").kill();
  await pair.waitFor("alpha", ({ role, application }) => role === "primary" && application === "hot");
  const count = await end();
  t.true(count > 0);
  const again = await pair.askUntilAnswered(body, { client: "old", id: "1", key: "kept" });
  t.is(again.text, first.text);
  const client = await pair.client<typeof renamed>({ client: "reader", application: renamed });
  const { result } = await client.request({ tally: "load", add: 0 });
  t.is(result.value, count, "nothing is lost, and nothing done twice");
});
