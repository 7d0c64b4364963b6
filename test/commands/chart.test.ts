/** `twinlog chart`: machines as text, Mermaid or SVG, and `--live`: each server's machine as it says that it is, told once for each change, with the ways out of the present state. */
import test from "ava";
import { showLiveChart } from "../../deploy/commands/live-chart.ts";
import type { CommandWorld } from "../../deploy/commands/world.ts";
import { chartMermaid, chartText } from "../../machines/chart.ts";
import { machines } from "../../machines/charts.ts";
import type { ServerStatus } from "../../schemas/status.ts";
import { subjects } from "../../schemas/subjects.ts";
import { bytesOf, TestBus, TestClock } from "../helpers/hand-world.ts";
import { statusOf } from "../helpers/status-of.ts";
import { makeRig } from "./rig.ts";

const alpha = statusOf({ state: "hot.normal", why: "won epoch 3" });
const beta = statusOf({
  name: "beta",
  incarnation: "i2",
  role: "backup",
  application: "warm",
  state: "following.warm",
});

/** What it printed until each of these was in it. */
async function shown(words: string[], statuses: () => ServerStatus[], patterns: RegExp[], columns?: number) {
  const rig = makeRig();
  const stop = new AbortController();
  const say = () => {
    for (const status of statuses()) rig.bus.publish(subjects.status("exchange", status.name), bytesOf(status));
    if (!stop.signal.aborted) rig.clock.after(20, say);
  };
  say();
  let out = "";
  const onOut = (text: string) => {
    out += text;
    if (patterns.every((pattern) => pattern.test(out))) stop.abort();
  };
  const size = columns === undefined ? {} : { columns };
  const ran = await rig.run(["chart", ...words, "--live"], { stopped: stop.signal, onOut, ...size });
  return { ...ran, out };
}

test("the lifecycle of each server is shown, the present state marked, and its ways out are the definition's", async (t) => {
  const { status, err, out } = await shown([], () => [alpha, beta], [/of alpha[\s\S]*of beta/]);
  t.deepEqual([status, err], [0, ""]);
  t.regex(out, /^lifecycle of alpha: hot\.normal \(won epoch 3\)\n/m);
  t.regex(out, /^▶hot +▶normal +adding +removing +fencing \( syncing +asking \) +alone/m);
  t.regex(out, /^ following +joining +warm +unsettled$/m);
  t.regex(out, /^▶following +joining ▶warm +unsettled$/m);
  t.regex(out, /^ {2}· backup\.lost\.alone → hot\.fencing$/m);
  t.regex(out, /^ {2}· primary\.lost\.alone → candidate\.syncing$/m);
  t.false(out.includes("\u001b"), "no control sequences where there is no terminal");
});

test("a change is told when it comes, and what stays as it is only once", async (t) => {
  let state = "following.warm";
  let rounds = 0;
  const statuses = () => {
    rounds += 1;
    if (rounds > 20) state = "candidate.syncing";
    return [{ ...beta, state }];
  };
  const { out } = await shown(["lifecycle", "--server", "beta"], statuses, [/▶candidate +▶syncing/]);
  t.is(out.split("lifecycle of beta: following.warm").length, 2);
});

/** Its process was held up for so long: what was heard last is old by now. */
class HeldUp extends TestClock {
  behindMs = 0;
  override nowMs(): number {
    return super.nowMs() + this.behindMs;
  }
}

test("nobody is silent because the command was held up: it judges again when it has heard what was said meanwhile", async (t) => {
  const clock = new HeldUp();
  const bus = new TestBus(clock);
  const stop = new AbortController();
  let out = "";
  const say = () => {
    bus.publish(subjects.status("exchange", "beta"), bytesOf(beta));
    clock.after(80, say);
  };
  say();
  const world = {
    clock,
    stopped: stop.signal,
    terminal: null,
    out: async (text: string) => {
      out += text;
    },
  } as unknown as CommandWorld;
  const showing = showLiveChart(world, bus, { service: "exchange", machine: "lifecycle", server: "beta" });
  await clock.run(595);
  clock.behindMs = 5_000;
  await clock.run(1_000);
  stop.abort();
  await clock.run(200);
  await showing;
  t.is(out.split("lifecycle of beta: following.warm").length, 2, out);
});

test("regions side by side, and links to each peer, have a chart each; on a terminal it is painted in place and fits", async (t) => {
  const told = {
    application: "hot",
    checkpoint: "idle",
    links: [{ peer: "beta", state: "main.up, failsafe.silent, peer.main" }],
    mirrors: [],
  };
  const { out } = await shown(["link"], () => [{ ...alpha, machines: told }], [/link of alpha to beta/], 60);
  t.true(out.startsWith("\u001b[2J\u001b[H"));
  t.regex(out, /^▶main +unproven ▶up +silent +closed$/m);
  t.regex(out, /^▶failsafe +unproven +up ▶silent +closed$/m);
  for (const line of out.replaceAll("\u001b[2J\u001b[H", "").split("\n")) t.true(line.length <= 60, line);
});

test("nobody speaks: it says so and goes on looking; --live is text", async (t) => {
  const { out } = await shown([], () => [], [/no server of exchange speaks/]);
  t.is(out.split("goes on looking").length, 2);
  t.regex((await makeRig().run(["chart", "link", "--live", "--format", "svg"])).err, /^twinlog: --live is text\n$/);
});

test("the command prints one machine, or all with their names", async (t) => {
  const run = async (...words: string[]): Promise<string> => {
    const { status, out, err } = await makeRig().run(["chart", ...words]);
    if (status !== 0) throw new Error(err);
    return out;
  };
  for (const [name, { machine }] of Object.entries(machines)) {
    t.is(await run(name), chartText(machine));
    t.is(await run(name, "--format", "mermaid"), chartMermaid(machine));
  }
  const all = await run();
  for (const name of Object.keys(machines)) t.true(all.includes(`# ${name}: `), name);
  await t.throwsAsync(run("nothing"), { message: /'nothing' is invalid/ });
  t.regex(await run("link", "--format", "svg"), /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" [\s\S]*<\/svg>\n$/);
  await t.throwsAsync(run("--format", "svg"), { message: /one picture is of one machine: name one of .*lifecycle/ });
  await t.throwsAsync(run("link", "--format", "png"), { message: /'png' is invalid/ });
});
