/**
 * Packets of a pair's own network that are late, lost, doubled, out of order and dropped one way in silence: below TCP, where no
 * kernel tells anybody. The kernel's netem is not needed (packet-net.ts).
 */
import { setTimeout as delay } from "node:timers/promises";
import test, { type ExecutionContext } from "ava";
import type { Pair } from "../helpers/pair/pair.ts";
import { inFull, notRun, ofSilence, suspicionMs } from "./full.ts";
import { type PacketCounts, type PacketNet, startPacketPair, type Weather, type Wire } from "./packet-net.ts";
import { Proof } from "./proof.ts";

const full = inFull(test);
const nothing: Weather = { lostPercent: 100 };

interface Scene {
  readonly pair: Pair;
  readonly net: PacketNet;
  readonly proof: Proof;
}

/** `had`: what must have become of packets, or there was no fault. */
async function scene(
  t: ExecutionContext,
  options: Parameters<typeof startPacketPair>[1],
  had: readonly (keyof PacketCounts)[],
  run: (scene: Scene) => Promise<void>,
): Promise<void> {
  const started = await startPacketPair(t, options);
  if (typeof started === "string") return notRun(t, started);
  const { pair, net } = started;
  const proof = await Proof.begin(t, pair);
  await pair.normal();
  await run({ pair, net, proof });
  const counts = await net.counts();
  t.log(JSON.stringify(counts));
  for (const what of had) t.true(counts[what] > 0, `no packet was ${what}`);
  net.everywhere({});
  await proof.prove();
}

const storm: Weather = { lateMs: 3, jitterMs: 6, lostPercent: 1, doubledPercent: 1 };

test.serial("packets late, lost, doubled and out of order on every wire: the primary is killed, nothing is lost", (t) =>
  scene(t, { restartMs: 300 }, ["lost", "doubled", "late", "overtaken"], async ({ pair, net, proof }) => {
    net.everywhere(storm);
    await proof.answers(100, "answers in the storm");
    const { primary } = await pair.normal();
    await proof.gap("kill -9 of the primary in the storm", () => pair.server(primary).kill());
    await pair.normal();
    await proof.answers(100, "answers in the storm");
  }),
);

const weathers: Readonly<Record<string, readonly [Weather, keyof PacketCounts]>> = {
  "20 ms late": [{ lateMs: 20 }, "late"],
  "up to 30 ms late, each on its own: out of order": [{ jitterMs: 30 }, "overtaken"],
  "5 % lost": [{ lostPercent: 5 }, "lost"],
  "30 % doubled": [{ doubledPercent: 30, jitterMs: 2 }, "doubled"],
};
for (const [name, [weather, becomes]] of Object.entries(weathers))
  for (const pace of ["calm", "nervous"] as const)
    full(`packets of every wire ${name} (${pace}): the main link carries nothing, the primary is killed`, (t) =>
      scene(t, { restartMs: 300, pace }, [becomes], async ({ pair, net, proof }) => {
        net.everywhere(weather);
        await proof.answers(50);
        await proof.gap("the main link carries nothing", async () => {
          net.weather("alpha-beta", nothing);
          await delay(600);
        });
        await proof.gap("the main link is mended", () => net.weather("alpha-beta", weather));
        const { primary } = await pair.normal();
        await proof.gap("kill -9 of the primary", () => pair.server(primary).kill());
      }),
    );

full("30 % of the main link's packets are lost: by main link or failsafe, nothing is lost", (t) =>
  scene(t, ofSilence, ["lost"], async ({ net, proof }) => {
    await proof.gap("main link losing", () => net.weather("alpha-beta", { lostPercent: 30 }));
    await delay(2 * suspicionMs);
    await proof.answers(100);
  }),
);

/** A primary that clients cannot reach, and that no kernel tells of it, finds out by pings. */
const silences: Readonly<Record<string, readonly (readonly [Wire, "forth" | "back" | "both"])[]>> = {
  "main link, from alpha": [["alpha-beta", "forth"]],
  "main link, from beta": [["alpha-beta", "back"]],
  "main link, both ways": [["alpha-beta", "both"]],
  "alpha's NATS, outwards": [["hub-alpha", "back"]],
  "alpha's NATS, inwards": [["hub-alpha", "forth"]],
  "alpha's NATS, both ways": [["hub-alpha", "both"]],
  "beta's NATS, outwards": [["hub-beta", "back"]],
  "beta's NATS, both ways": [["hub-beta", "both"]],
  "all that alpha sends": [
    ["alpha-beta", "forth"],
    ["hub-alpha", "back"],
  ],
  "all that alpha is sent": [
    ["alpha-beta", "back"],
    ["hub-alpha", "forth"],
  ],
  "all of alpha's": [
    ["alpha-beta", "both"],
    ["hub-alpha", "both"],
  ],
  "all of beta's": [
    ["alpha-beta", "both"],
    ["hub-beta", "both"],
  ],
};
for (const [name, ways] of Object.entries(silences))
  full(`dropped in silence: ${name}`, (t) =>
    scene(t, ofSilence, ["lost"], async ({ net, proof }) => {
      await proof.gap(`dropped: ${name}`, () => {
        for (const [wire, way] of ways) net.weather(wire, nothing, way);
      });
      await delay(3 * suspicionMs);
      await proof.answers(50, "answers while it lasts");
    }),
  );

full("everything of one server comes and goes, in silence", (t) =>
  scene(t, ofSilence, ["lost"], async ({ pair, net, proof }) => {
    for (const wire of ["hub-alpha", "hub-beta"] as const)
      await proof.gap(`${wire} and main link come and go`, async () => {
        for (let round = 0; round < 5; round += 1) {
          for (const one of [wire, "alpha-beta"] as const) net.weather(one, nothing);
          await delay(suspicionMs * (0.2 + 0.25 * round));
          net.everywhere({});
          await delay(150);
        }
      });
    await pair.normal();
  }),
);
