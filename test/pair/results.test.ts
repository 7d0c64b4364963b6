/**
 * Results have a connection to NATS of their own: while it is refused, or stands still, requests are answered and the roles stay, and
 * every result comes when it is back (rule 13).
 */
import test, { type ExecutionContext } from "ava";
import { subjects } from "../../schemas/subjects.ts";
import { freePort } from "../helpers/free-port.ts";
import { type Fate, NamedProxy } from "../helpers/pair/named-proxy.ts";
import { type Pair, startPair } from "../helpers/pair/pair.ts";
import { until } from "../helpers/until.ts";

const service = "exchange";
const withinMs = 60_000;
const isOfResults = (name: string) => name.endsWith(" results");
const order = (id: string) =>
  ({ type: "limit", symbol: "BTCUSD", order: id, side: "buy", price: 100, quantity: 1 }) as const;

async function setup(t: ExecutionContext): Promise<{ pair: Pair; proxy: NamedProxy; heard: number[] }> {
  const port = await freePort();
  const proxy = new NamedProxy(port);
  await proxy.listen();
  t.teardown(() => proxy.close());
  const nats = { servers: [`nats://127.0.0.1:${proxy.port}`] };
  const pair = await startPair(t, { service, nats: { port }, settings: () => ({ nats }) });
  const heard: number[] = [];
  pair.raw.subscribe(subjects.results(service), {
    callback: (_error, message) => heard.push(Number(message.headers?.get("Twinlog-Result"))),
  });
  await pair.raw.flush();
  return { pair, proxy, heard };
}

/** Each comes; the first time that it does is after those before it. */
async function allComeInOrder(t: ExecutionContext, heard: readonly number[], count: number): Promise<void> {
  await until(() => new Set(heard).size === count, { withinMs, waitedFor: `${count} results, not ${heard.length}` });
  t.deepEqual(
    [...new Set(heard)],
    Array.from({ length: count }, (_, at) => at + 1),
  );
}

const fates: readonly (readonly [says: RegExp, fate: Fate])[] = [
  [/maximum connections exceeded/i, { refused: "maximum connections exceeded" }],
  [/no connection to NATS for results/, "frozen"],
];

test.serial(
  "while the connection for results is refused, or stands still, requests are answered; then every result comes",
  async (t) => {
    const { pair, proxy, heard } = await setup(t);
    const { epoch } = await pair.newStatus("alpha");
    let count = 0;
    const request = async () => {
      count += 1;
      await pair.askUntilAnswered(order(`o${count}`), { client: "alice", id: String(count) });
    };
    const ofResults = (server: string) => pair.status(server)?.troubles.find(({ code }) => code === "nats.results");
    await request();
    await allComeInOrder(t, heard, 1);
    for (const [says, fate] of fates) {
      const before = count;
      proxy.fate = (name) => (isOfResults(name) ? fate : "free");
      for (let nth = 0; nth < 20; nth += 1) await request();
      for (const server of ["alpha", "beta"])
        await until(() => says.test(ofResults(server)?.message ?? ""), {
          withinMs,
          waitedFor: `the word of ${server}`,
        });
      await request();
      t.is(new Set(heard).size, before, "results wait");
      proxy.fate = () => "free";
      await allComeInOrder(t, heard, count);
      for (const server of ["alpha", "beta"])
        await until(() => ofResults(server) === undefined, { withinMs, waitedFor: `${server} without the trouble` });
    }
    t.like(await pair.newStatus("alpha"), { epoch, role: "primary" }, "nobody moved");
  },
);

test.serial("whoever takes the role has the connection for results already", async (t) => {
  const { pair, proxy, heard } = await setup(t);
  await pair.askUntilAnswered(order("o1"), { client: "alice", id: "1" });
  const names = ["alpha", "beta"].map((server) => `twinlog ${service} ${server} results`);
  await until(() => names.every((name) => proxy.names.includes(name)), { withinMs, waitedFor: names.join(", ") });
  await pair.server("alpha").kill();
  await pair.askUntilAnswered(order("o2"), { client: "alice", id: "2" });
  await allComeInOrder(t, heard, 2);
});
