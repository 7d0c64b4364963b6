/** What was recorded is not new when it is said again: numbers once, sessions by who began when, memory bounded. */
import test from "ava";
import * as fc from "fast-check";
import { maxSessions, PeerSessions, ReplayWindow, windowNumbers } from "../../actors/world/peer-sessions.ts";

function sessionsOf(name: string): PeerSessions {
  let count = 0;
  return new PeerSessions(() => {
    count += 1;
    return `${name}-${count}`;
  });
}

/** Both know each other. */
function acquainted() {
  const [alpha, beta] = [sessionsOf("alpha"), sessionsOf("beta")];
  acquaint(alpha, beta);
  return { alpha, beta };
}

function acquaint(alpha: PeerSessions, beta: PeerSessions): void {
  const first = alpha.next("beta");
  beta.take("alpha", first);
  alpha.take("beta", beta.next("alpha", [first.session]));
  beta.take("alpha", alpha.next("beta"));
}

test("a message is new if it was said to this process, and then once", (t) => {
  const [alpha, beta] = [sessionsOf("alpha"), sessionsOf("beta")];
  const first = alpha.next("beta");
  t.deepEqual(beta.take("alpha", first), { is: "stale" }, "who does not know this process may be long over");
  const greeting = beta.next("alpha", [first.session]);
  t.deepEqual(alpha.take("beta", greeting), { is: "fresh", isFirst: true });
  const second = alpha.next("beta");
  t.deepEqual(beta.take("alpha", second), { is: "fresh", isFirst: true });
  t.deepEqual(beta.take("alpha", second), { is: "repeated" });
  t.deepEqual(alpha.take("beta", greeting), { is: "repeated" });
  t.deepEqual(beta.take("alpha", first), { is: "stale" });
  t.deepEqual(beta.take("alpha", alpha.next("beta")), { is: "fresh", isFirst: false });
});

test("what was said to an earlier process of a server is nothing to its next one", (t) => {
  const { alpha, beta } = acquainted();
  const recorded = Array.from({ length: 10 }, () => alpha.next("beta"));
  for (const message of recorded) beta.take("alpha", message);
  const next = new PeerSessions();
  for (const message of recorded) t.deepEqual(next.take("alpha", message), { is: "stale" });
});

test("two processes of one name are heard both, and both are spoken to", (t) => {
  const { alpha, beta } = acquainted();
  const other = sessionsOf("other");
  acquaint(other, beta);
  const { to } = beta.next("alpha");
  for (const process of [alpha, other]) {
    t.is(process.take("beta", { ...beta.next("alpha"), to }).is, "fresh");
    t.is(beta.take("alpha", process.next("beta")).is, "fresh");
  }
});

test("more processes of one name than are told apart: a new session, and nothing recorded serves in it", (t) => {
  const { alpha, beta } = acquainted();
  const recorded = alpha.next("beta");
  t.is(beta.take("alpha", recorded).is, "fresh");
  const before = beta.next("alpha").session;
  for (let nth = 0; nth < maxSessions; nth += 1) acquaint(new PeerSessions(), beta);
  t.not(beta.next("alpha").session, before);
  t.is(beta.take("alpha", recorded).is, "stale");
  acquaint(alpha, beta);
  t.is(beta.take("alpha", alpha.next("beta")).is, "fresh");
});

test("numbers come in any order within the window, each once; no nonsense is a number", (t) => {
  t.notThrows(() =>
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 3 * windowNumbers }), { maxLength: 200 }), (numbers) => {
        const window = new ReplayWindow();
        const taken = new Set<number>();
        let highest = 0;
        for (const number of numbers) {
          const isNew = !taken.has(number) && number > highest - windowNumbers;
          if (window.take(number) !== isNew) return false;
          if (isNew) taken.add(number);
          highest = Math.max(highest, isNew ? number : 0);
        }
        return true;
      }),
    ),
  );
  const window = new ReplayWindow();
  for (const number of [0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) t.false(window.take(number));
  t.true(window.take(1));
});
