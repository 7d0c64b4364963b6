/** A recovery by force that loses more than its operator was told is found out (rule 18). */
import test from "ava";
import { Announcements } from "./announcements.ts";

const told = "goes on alone with a new history after record 7; what was acknowledged and is not among these is lost";

function violations(forks: readonly (readonly [server: string, last: number, atMs: number])[]): string[] {
  const announcements = new Announcements();
  announcements.onTold("beta", told, 1_000);
  for (const fork of forks) announcements.onFork(...fork);
  return announcements.violations().map(({ of, text }) => `${of}: ${text}`);
}

test("what was told is what was done, or nothing was done", (t) => {
  t.deepEqual(violations([["beta", 7, 1_100]]), []);
  t.deepEqual(violations([["alpha", 3, 1_100]]), []);
  t.deepEqual(violations([["beta", 3, 90_000]]), []);
  const overtaken = new Announcements();
  for (const last of [3, 7]) overtaken.onTold("beta", told.replace("7", String(last)), 100 * last);
  overtaken.onFork("beta", 3, 310);
  t.deepEqual(overtaken.violations(), []);
});

test("a history that a server began by itself a while before it was told has nothing to do with that", (t) => {
  t.deepEqual(
    violations([
      ["beta", 3, 140],
      ["beta", 7, 1_002],
    ]),
    [],
  );
  t.is(violations([["beta", 3, 990]]).length, 1, "heard of a little later than it was done");
});

test("a new history that begins elsewhere makes it a lie", (t) => {
  t.deepEqual(violations([["beta", 3, 1_100]]), [
    "rule 18: beta said that it goes on after record 7, and went on after 3",
  ]);
});
