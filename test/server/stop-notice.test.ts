/** A server that was told to stop and cannot yet says every five seconds what it waits for, and how it is ended now. */
import test from "ava";
import { z } from "zod";
import { defineApplication } from "../../actors/application/define.ts";
import { MemoryRegistry, OneServer } from "../helpers/one-server.ts";

const idle = defineApplication({
  name: "idle",
  request: z.strictObject({}),
  result: z.object({}),
  key: () => "k",
  tables: {},
  handle: (_, { transaction }) => transaction("nothing", () => ({})),
});

/** It is read, and takes nothing until it has room again. */
class FullRegistry extends MemoryRegistry {
  isFull = true;
  override async compareAndSet(...asked: Parameters<MemoryRegistry["compareAndSet"]>) {
    if (this.isFull) return { outcome: "unknown", reason: "insufficient storage" } as never;
    return super.compareAndSet(...asked);
  }
}

test("told to stop while what it asked of the registry is open, a server says so every 5 s, and ends when that is settled (situation 66)", async (t) => {
  const registry = new FullRegistry("alpha");
  const alpha = new OneServer({ application: idle, registry });
  await alpha.run(2_000);
  t.is(alpha.life.replica.state, "claiming.asking");
  alpha.life.stop();
  await alpha.run(16_000);
  t.is(alpha.end, null, "the protocol does not let it go: what it asked for may land");
  const told = alpha.warnings.filter((line) => line.startsWith("was told to stop"));
  t.is(told.length, 3);
  t.regex(
    told[0] ?? "",
    /told to stop 5 s ago and waits for the registry \(insufficient storage\), which may come to name/,
  );
  t.regex(told[0] ?? "", /killed now, nothing is lost, .* To end it now: two more signals/);
  registry.isFull = false;
  await alpha.run(2_000);
  t.deepEqual(alpha.end, { reason: "exit" });
});
