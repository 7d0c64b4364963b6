/** Notices of a server's death, which whoever may publish there can send without end: told once a minute, with their count. */
import test from "ava";
import { z } from "zod";
import { defineApplication } from "../../actors/application/define.ts";
import { startServer } from "../../actors/server.ts";
import type { Link, LinkHandlers, World } from "../../actors/world/ports.ts";
import { Settings } from "../../schemas/settings.ts";
import { TestBus, TestClock } from "../helpers/hand-world.ts";
import { keptLog } from "../helpers/kept-log.ts";
import { MemoryDisk, MemoryStore } from "../helpers/memory-store.ts";
import { MemoryRegistry, service } from "../helpers/one-server.ts";

const idle = defineApplication({
  name: "idle",
  request: z.strictObject({}),
  result: z.object({}),
  key: () => "k",
  tables: {},
  handle: (_, { transaction }) => transaction("nothing", () => ({})),
});

test("last words, one life after the other: a line a minute for each server, with how many were left out", async (t) => {
  const clock = new TestClock(1);
  const log = keptLog();
  let handlers: LinkHandlers | null = null;
  const link = (kind: Link["kind"]): Link => ({
    kind,
    isProven: true,
    start: async (given) => {
      if (kind === "failsafe") handlers = given;
    },
    stop: async () => {},
    send: () => true,
    bufferedBytes: () => 0,
    maxFrameBytes: () => 1_000_000,
  });
  const world: World = {
    clock,
    bus: new TestBus(clock),
    registry: new MemoryRegistry("alpha"),
    store: new MemoryStore(new MemoryDisk()),
    main: link("main"),
    failsafe: link("failsafe"),
    log,
  };
  const servers = ["alpha", "beta", "gamma"].map((name, at) => ({ name, port: at + 1 }));
  const server = startServer({
    settings: Settings.parse({ service, server: "alpha", servers, dataDirectory: "/nowhere" }),
    application: idle,
    world,
    process: { pid: 1, version: "0.0.0" },
    nameIncarnation: () => "alpha-1",
  });
  await clock.run(100);
  const say = (of: string, nth: number) =>
    handlers?.onLastWords?.({
      server: of,
      life: `${of}-${nth}`,
      code: "handler",
      client: "c",
      id: "1",
      bodyHash: 1,
      isRecorded: false,
      busyMs: 5_000,
    });
  const told = () => log.lines.filter((line) => line.includes("was ended by its watchdog"));
  for (let nth = 0; nth < 1_000; nth += 1) say("beta", nth);
  t.is(told().length, 1);
  say("gamma", 1);
  t.is(told().length, 2, "another server's death is told");
  await clock.run(60_000);
  say("beta", 1_000);
  t.is(told().length, 3);
  t.regex(told()[2] ?? "", /"leftOut":999/);
  server.stop();
  await clock.run(10_000);
});
