/** The open troubles of a server: what is shown, and what is logged of it and how often. */
import test from "ava";
import { quietMs, Troubles } from "../../actors/operator/troubles.ts";
import type { LogFields } from "../../actors/world/ports.ts";
import { TestClock } from "../helpers/hand-world.ts";

class Told {
  readonly clock = new TestClock();
  readonly lines: string[] = [];
  readonly troubles: Troubles;

  constructor() {
    const tell = (level: string) => (fields: LogFields, message: string) => {
      const { trouble, times } = fields;
      this.lines.push(`${level} ${trouble}: ${message}${times === undefined ? "" : ` (${times} times)`}`);
    };
    const log = { debug: tell("debug"), info: tell("info"), warn: tell("warn"), error: tell("error") };
    this.troubles = new Troubles(this.clock, log);
  }

  take(): string[] {
    return this.lines.splice(0);
  }
}

test("a trouble is shown with the time since when, in its newest words, and its raise and clear are logged once each", async (t) => {
  const { clock, troubles, lines } = new Told();
  const sinceMs = clock.wallMs();
  troubles.set("backup.lost", "no backup is in sync (beta)");
  await clock.run(10);
  troubles.set("backup.lost", "no backup is in sync (beta, gamma)");
  troubles.onTick();
  t.deepEqual(troubles.open, [{ code: "backup.lost", message: "no backup is in sync (beta, gamma)", sinceMs }]);
  troubles.set("backup.lost", null);
  troubles.set("backup.lost", null);
  t.deepEqual(troubles.open, []);
  t.deepEqual(lines, ["warn backup.lost: no backup is in sync (beta)", "info backup.lost: over: no backup is in sync"]);
});

test("what follows an open trouble has its newest words and its end, and raises none", (t) => {
  const { troubles } = new Told();
  troubles.follow("backup.lost", "no backup is in sync (beta)");
  t.deepEqual(troubles.open, []);
  troubles.set("backup.lost", "no backup is in sync (beta)");
  troubles.follow("backup.lost", "no backup is in sync (beta, gamma)");
  t.is(troubles.open[0]?.message, "no backup is in sync (beta, gamma)");
  troubles.follow("backup.lost", null);
  t.deepEqual(troubles.open, []);
  troubles.follow("backup.lost", "no backup is in sync (beta)");
  t.deepEqual(troubles.open, []);
});

test("one that costs the service is logged as an error", (t) => {
  const told = new Told();
  told.troubles.set("intake.paused", "an operator paused the intake");
  t.deepEqual(told.take(), ["error intake.paused: an operator paused the intake"]);
});

test("a trouble that comes and goes is logged at most once a minute each way, with how often it came, and its last word is not lost", async (t) => {
  const told = new Told();
  for (let time = 0; time < 20; time += 1) {
    told.troubles.set("registry.frozen", `gone ${time}`);
    await told.clock.run(100);
    told.troubles.set("registry.frozen", null);
    await told.clock.run(100);
  }
  told.troubles.set("registry.frozen", "gone for good");
  t.deepEqual(told.take(), [
    "warn registry.frozen: gone 0",
    "info registry.frozen: over: the registry lost its record or went back: no change of mode is possible",
  ]);
  t.is(told.troubles.open[0]?.message, "gone for good", "the status does not wait");
  await told.clock.run(quietMs);
  told.troubles.onTick();
  told.troubles.onTick();
  t.deepEqual(told.take(), ["warn registry.frozen: gone for good (20 times)"]);
});

test("codes do not hold each other back", (t) => {
  const told = new Told();
  told.troubles.set("backup.lost", "alone");
  told.troubles.set("server.waiting", "waits for beta");
  t.deepEqual(told.take(), ["warn backup.lost: alone", "warn server.waiting: waits for beta"]);
});

test("the troubles of a life end with it; one that the next life has too is not told again", (t) => {
  const told = new Told();
  told.troubles.set("backup.lost", "alone");
  told.troubles.set("server.waiting", "waits for beta");
  told.take();
  told.troubles.onLifeEnded();
  t.deepEqual(told.troubles.open, []);
  told.troubles.set("server.waiting", "waits for beta");
  told.troubles.onTick();
  t.deepEqual(told.take(), ["info backup.lost: over: no backup is in sync"]);
});
