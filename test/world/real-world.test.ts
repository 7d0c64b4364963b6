/**
 * The whole real world of two servers, from settings: each part works, beside the other server's, and all of it ends.
 */
import { join } from "node:path";
import test from "ava";
import { StoreError } from "../../actors/world/ports.ts";
import { openRealWorld } from "../../actors/world/real-world.ts";
import { Settings } from "../../schemas/settings.ts";
import { bytesOf, realRig, textOf } from "../conformance/rig.ts";
import { freePort } from "../helpers/free-port.ts";
import { keptLog } from "../helpers/kept-log.ts";
import { natsServer } from "../helpers/nats.ts";
import { temporaryDirectory } from "../helpers/temporary-directory.ts";
import { until as untilTrue } from "../helpers/until.ts";

test("real-world: two servers' worlds meet on both links, share registry and bus, and keep their stores apart", async (t) => {
  const { until } = realRig();
  const nats = await natsServer(t);
  const directory = await temporaryDirectory(t);
  const servers = [
    { name: "alpha", port: await freePort() },
    { name: "beta", port: await freePort() },
  ];
  const open = async (server: string) => {
    const log = keptLog();
    const settings = Settings.parse({
      service: "exchange",
      server,
      servers,
      dataDirectory: join(directory, server),
      nats: { servers: [nats.url] },
    });
    const world = await openRealWorld(settings, { log });
    const events: string[] = [];
    const handlers = (link: string) => ({
      onUp: (peer: string) => events.push(`${link} up ${peer}`),
      onDown: (peer: string) => events.push(`${link} down ${peer}`),
      onFrame: (peer: string, frame: Uint8Array) => events.push(`${link} ${peer} ${textOf(frame)}`),
    });
    await Promise.all([
      world.main.start(handlers("main")),
      world.failsafe.start(handlers("failsafe")),
      world.bus.start(() => undefined),
      world.store.open(),
    ]);
    return { world, events, log };
  };
  const [alpha, beta] = [await open("alpha"), await open("beta")];
  const ends = [alpha, beta];
  await until(() => {
    alpha.world.failsafe.send("beta", [bytesOf("f")]);
    beta.world.failsafe.send("alpha", [bytesOf("f")]);
    alpha.world.main.send("beta", [bytesOf("m")]);
    beta.world.main.send("alpha", [bytesOf("m")]);
    return (
      ["main beta m", "failsafe beta f"].every((event) => alpha.events.includes(event)) &&
      ["main alpha m", "failsafe alpha f"].every((event) => beta.events.includes(event))
    );
  }, "frames both ways on both links");

  const record = {
    service: "exchange",
    history: "h",
    epoch: 1,
    mode: "primary-only" as const,
    writeId: "w",
    previousWriteId: "",
    primary: { server: "alpha", incarnation: "a" },
    inSync: [{ server: "alpha", incarnation: "a" }],
    durability: "disk" as const,
    base: { sequence: 0, hash: 0 },
    schema: "s",
  };
  const created = await alpha.world.registry.create(record);
  t.is(created.outcome, "won");
  t.like(await beta.world.registry.read(), { outcome: "found", record });

  const heard: string[] = [];
  beta.world.bus.subscribe("exchange.result.>", ({ data }) => heard.push(textOf(data)));
  // Results have a connection of their own, which is not waited for at the start.
  for (const { world } of ends)
    await untilTrue(() => world.bus.flush(), { withinMs: 20_000, waitedFor: "all connections of a bus" });
  t.true(alpha.world.bus.publish("exchange.result.x.y", bytesOf("result")));
  await until(() => heard.length === 1, "the result");

  await alpha.world.store.write([{ type: "put", key: bytesOf("k"), value: bytesOf("v") }], { sync: true });
  t.is(await beta.world.store.get(bytesOf("k")), undefined);

  // The registry answers also when the failsafe link, which holds its connection, has stopped.
  await Promise.all(ends.map(({ world }) => world.failsafe.stop()));
  t.is((await alpha.world.registry.read()).outcome, "found");
  await Promise.all(ends.flatMap(({ world }) => [world.main.stop(), world.bus.stop(), world.store.close()]));
  t.false(alpha.world.bus.publish("exchange.result.x.y", bytesOf("late")));
  t.false(alpha.world.main.send("beta", [bytesOf("late")]));
  await t.throwsAsync(alpha.world.store.get(bytesOf("k")), { instanceOf: StoreError });
});
