/** What the console's picture says of a moment: who stands where, what goes between, and where each would go. */
import test from "ava";
import { StatusGathering } from "../../deploy/commands/service-status.ts";
import { activeIn, type Known, lostView, type View, viewOf, withStep } from "../../deploy/console/view.ts";
import type { ServerStatus } from "../../schemas/status.ts";
import { statusOf } from "../helpers/status-of.ts";

const member = (server: string, incarnation: string) => ({ server, incarnation });
const both = { primary: member("alpha", "i1"), inSync: [member("alpha", "i1"), member("beta", "i2")] };
const linkTo = (peer: string, state = "main.up, failsafe.up, peer.main") => ({ peer, state });
const machines = {
  application: "hot",
  checkpoint: "idle",
  links: [linkTo("beta")],
  mirrors: [{ peer: "beta", state: "open.inSync", confirmed: 7 }],
};
const alpha = statusOf({ record: both, machines, peers: [{ name: "beta", silentMs: 10 }] });
const beta = statusOf({
  name: "beta",
  role: "backup",
  application: "warm",
  state: "following.warm",
  incarnation: "i2",
  sequence: 9,
  record: both,
  machines: { application: "warm", checkpoint: "idle", links: [linkTo("alpha")], mirrors: [] },
  peers: [{ name: "alpha", silentMs: 10 }],
});

function seen(statuses: readonly ServerStatus[], more: Partial<Known> = {}): View {
  const gathering = new StatusGathering();
  for (const status of statuses) gathering.onStatus(status, 700);
  return viewOf(gathering.conclude("exchange", 800), {
    atMs: 5_000,
    natsConnected: true,
    staleSinceMs: null,
    isListening: false,
    requestsPerSecond: 120,
    latency: null,
    lastWords: new Map(statuses.map((status) => [status.name, status])),
    lastStep: () => null,
    ...more,
  });
}
const seats = ({ servers }: View) => servers.map(({ name, place, heat }) => `${name} ${heat} ${place}`);

test("in sync: both in normal, records flow over the main link, and each has a place to go to", (t) => {
  const view = seen([alpha, beta]);
  t.like(view, {
    verdict: "ready",
    sentence: "a failover would work now",
    mode: "normal",
    hot: "alpha",
    primary: "alpha",
  });
  t.deepEqual(seats(view), ["alpha hot normal", "beta warm normal"]);
  t.like(view.lines[0], { from: "alpha", to: "beta", main: "up", failsafe: "up", carrier: "main", isFlowing: true });
  t.is(view.lines.length, 1);
  t.deepEqual(view.moves, [
    { server: "alpha", to: "primary-only", when: "if beta died now", works: true },
    { server: "beta", to: "backup-only", when: "if alpha died now", works: true },
  ]);
  t.is(view.servers[1]?.lag, 3, "what the primary has and was not confirmed, not what both said at two moments");
});

test("without the main link records go over NATS; without both they go nowhere", (t) => {
  const over = (state: string) => seen([{ ...alpha, machines: { ...machines, links: [linkTo("beta", state)] } }, beta]);
  t.like(over("main.closed, failsafe.up, peer.failsafe").lines[0], { main: "down", carrier: "failsafe" });
  t.like(over("main.closed, failsafe.silent, peer.none").lines[0], {
    failsafe: "down",
    carrier: "none",
    isFlowing: false,
  });
});

test("a trouble that costs the failover blocks the backup's way, and the sentence says why", (t) => {
  const message = "LevelDB says no";
  const view = seen([alpha, { ...beta, troubles: [{ code: "store.asideFull", message, sinceMs: 1 }] }]);
  t.is(view.verdict, "degraded");
  t.false(view.moves.find(({ server }) => server === "beta")?.works);
  t.true(view.moves.find(({ server }) => server === "alpha")?.works);
  t.deepEqual(
    view.reasons.map((one) => one.message),
    [message],
  );
});

test("after a takeover the new primary is alone in backup-only, the silent one outside; who joins is on its way back", (t) => {
  const record = { primary: member("beta", "i2"), inSync: [member("beta", "i2")] };
  const taken = {
    ...beta,
    role: "primary",
    application: "hot",
    state: "hot.alone",
    epoch: 4,
    mode: "backup-only",
    record,
  };
  const alone = seen([taken as ServerStatus]);
  t.deepEqual(seats(alone), ["alpha silent away", "beta hot backup-only"]);
  t.deepEqual([alone.verdict, alone.moves], ["degraded", []]);
  const joining = {
    ...alpha,
    role: "none",
    application: "warm",
    state: "following.joining",
    incarnation: "i9",
    epoch: 4,
  };
  const back = seen([taken as ServerStatus, { ...joining, mode: "backup-only", record } as ServerStatus]);
  t.deepEqual(seats(back), ["alpha warm away", "beta hot backup-only"]);
  t.deepEqual(back.moves, [{ server: "alpha", to: "normal", when: "when it holds every record", works: true }]);
});

test("with three servers the mode stays what it is, whoever dies: nobody has a way out of it", (t) => {
  const record = { ...both, inSync: [...both.inSync, member("gamma", "i3")] };
  const gamma = { ...beta, name: "gamma", incarnation: "i3" };
  const view = seen([alpha, beta, gamma].map((status) => ({ ...status, record })));
  t.deepEqual([view.moves, view.lines.length], [[], 2]);
});

test("a primary that is silent is still where the registry counts on it, until another takes its place", (t) => {
  const view = seen([{ ...beta, state: "candidate.syncing" }], { lastWords: new Map([["alpha", alpha]]) });
  t.deepEqual(seats(view), ["alpha silent normal", "beta warm normal"]);
  t.is(view.verdict, "down");
});

test("nothing is judged before it was listened for as long as `twinlog status` does, nor of what is old", (t) => {
  t.like(seen([beta], { isListening: true }), { verdict: "unknown", reasons: [] });
  t.is(seen([], { staleSinceMs: 1_000 }).sentence, "no server of exchange speaks");
  const lost = lostView(seen([alpha, beta]), 9_000, 8_000);
  t.like(lost, { natsConnected: false, staleSinceMs: 8_000, verdict: "unknown", requestsPerSecond: null });
  t.false(lost.lines[0]?.isFlowing);
});

test("a server of an older program, which tells of its lifecycle alone, is shown all the same", (t) => {
  const old = (status: ServerStatus): ServerStatus => {
    const { machines: _, ...rest } = status;
    return rest;
  };
  const view = seen([old(alpha), old(beta)]);
  t.like(view.lines[0], { main: "up", carrier: "main", mirror: "" });
  t.is(view.servers[1]?.lag, 1);
  t.deepEqual(
    view.servers[0]?.machines.map(({ machine }) => machine),
    ["lifecycle", "application"],
  );
});

test("states are active with all that is around them; a step shows the state that it led to", (t) => {
  t.deepEqual(activeIn("hot.fencing.asking"), ["hot", "hot.fencing", "hot.fencing.asking"]);
  t.deepEqual(activeIn("main.up, peer.main"), ["main", "main.up", "peer", "peer.main"]);
  const step = { event: "primary.lost.alone", from: "following.warm", to: "candidate.syncing", why: "gone", atMs: 1 };
  const [, stepped] = withStep(seen([alpha, beta]), "beta", step).servers;
  t.like(stepped, { state: "candidate.syncing", why: "gone" });
  t.like(stepped?.machines[0], { active: ["candidate", "candidate.syncing"], last: step });
});
