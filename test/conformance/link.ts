/**
 * What every Link must do, whatever carries it: run on link-tcp, on link-nats and on the simulated links.
 *
 * Each test asks what would break if a frame came twice, late, in pieces or to the wrong peer. A link may lose frames
 * (its sender sends again), so a test that waits for one to arrive first waits for the link to be up.
 */
import test, { type ExecutionContext } from "ava";
import type { Link, LinkDownReason } from "../../actors/world/ports.ts";
import { patternBytes, type Rig } from "./rig.ts";

/** Two links of one service, `alpha` and `beta`, neither started. */
export interface LinkRig extends Rig {
  readonly alpha: Link;
  readonly beta: Link;
  /** Takes the connection away, now; nothing sent from here on until `heal` may ever arrive. Resolves when it is gone. */
  cut(): Promise<void>;
  heal(): Promise<void>;
  /** beta was never started: whatever stands between says so, as its machine would. */
  betaIsAbsent(): Promise<void>;
  /** `send` of this rig's links returns false when more than this waits. */
  readonly maxBufferedBytes: number;
  /** The reason that the other side is told when one side stops, and that a sender is told of a peer that never was there. */
  readonly reasons: { readonly stopped: readonly LinkDownReason[]; readonly absent: readonly LinkDownReason[] };
  /** Frames within one connection keep their order. */
  readonly keepsOrder: boolean;
}

/** All that happened at one end, in order. */
class Ear {
  readonly events: string[] = [];
  readonly frames: Uint8Array[] = [];
  up = false;
  lastDown: LinkDownReason | null = null;

  readonly handlers = {
    onUp: (peer: string): void => {
      this.events.push(`up ${peer}`);
      this.up = true;
    },
    onDown: (peer: string, reason: LinkDownReason): void => {
      this.events.push(`down ${peer}`);
      this.up = false;
      this.lastDown = reason;
    },
    onFrame: (peer: string, frame: Uint8Array): void => {
      this.events.push(`frame ${peer}`);
      this.frames.push(frame);
    },
  };
}

interface Pair extends LinkRig {
  readonly atAlpha: Ear;
  readonly atBeta: Ear;
}

const hello = Uint8Array.of(1);

/** Says something both ways until both ends know each other: a link over a broker is up once a peer was heard. */
async function bringUp(pair: Pair): Promise<void> {
  let saidAtMs = Number.NEGATIVE_INFINITY;
  await pair.until(() => {
    if (pair.clock.nowMs() - saidAtMs > 20) {
      saidAtMs = pair.clock.nowMs();
      pair.alpha.send("beta", [hello]);
      pair.beta.send("alpha", [hello]);
    }
    return pair.atAlpha.up && pair.atBeta.up && pair.atAlpha.frames.length > 0 && pair.atBeta.frames.length > 0;
  }, "both ends to be up and heard");
  // What was said on the way up is still arriving: a marker in each direction ends it.
  const marker = patternBytes(33, Math.floor(pair.clock.random() * 1e9));
  pair.alpha.send("beta", [marker]);
  pair.beta.send("alpha", [marker]);
  const isMarker = (frame: Uint8Array | undefined) => frame !== undefined && Buffer.compare(frame, marker) === 0;
  await pair.until(
    () => isMarker(pair.atAlpha.frames.at(-1)) && isMarker(pair.atBeta.frames.at(-1)),
    "the markers after coming up",
  );
  for (const ear of [pair.atAlpha, pair.atBeta]) {
    ear.frames.length = 0;
    ear.events.length = 0;
  }
}

export function linkConformance(name: string, makeRig: (t: ExecutionContext) => Promise<LinkRig>): void {
  const withPair = (title: string, body: (t: ExecutionContext, pair: Pair) => Promise<void>) => {
    test.serial(`${name}: ${title}`, async (t) => {
      const rig = await makeRig(t);
      const pair: Pair = Object.assign(Object.create(rig) as LinkRig, { atAlpha: new Ear(), atBeta: new Ear() });
      try {
        await rig.settle(Promise.all([rig.alpha.start(pair.atAlpha.handlers), rig.beta.start(pair.atBeta.handlers)]));
        await body(t, pair);
      } finally {
        await rig.settle(Promise.all([rig.alpha.stop(), rig.beta.stop()]));
        await rig.dispose();
      }
    });
  };

  withPair("both ends come up and are told so once", async (t, pair) => {
    await pair.until(() => {
      pair.alpha.send("beta", [hello]);
      pair.beta.send("alpha", [hello]);
      return pair.atAlpha.up && pair.atBeta.up;
    }, "both ends to be up");
    await bringUp(pair);
    t.deepEqual(pair.atAlpha.events, []);
    t.deepEqual(pair.atBeta.events, []);
  });

  withPair("frames of every size arrive whole and unmodified, both ways", async (t, pair) => {
    await bringUp(pair);
    const most = Math.min(pair.alpha.maxFrameBytes("beta"), pair.beta.maxFrameBytes("alpha"));
    const sizes = [0, 1, 7, 8, 9, 255, 4096, 65_535, 65_536, 65_537, 200_000, most - 1, most];
    for (const [from, to, ear] of [
      [pair.alpha, "beta", pair.atBeta],
      [pair.beta, "alpha", pair.atAlpha],
    ] as const) {
      for (const size of sizes) {
        const bytes = patternBytes(size, size + 1);
        const before = ear.frames.length;
        t.true(from.send(to, [bytes]), `a frame of ${size} bytes is taken`);
        await pair.until(() => ear.frames.length > before, `the frame of ${size} bytes`);
        t.is(Buffer.compare(ear.frames.at(-1) ?? hello, bytes), 0, `${size} bytes are the same`);
      }
      t.is(ear.frames.length, sizes.length, "nothing arrived twice");
    }
  });

  withPair("the parts arrive as one frame, in order, and may be used again after the call", async (t, pair) => {
    await bringUp(pair);
    const scratch = patternBytes(3000, 5);
    const expected = Buffer.concat([scratch.subarray(0, 10), scratch.subarray(10, 10), scratch.subarray(100, 3000)]);
    t.true(pair.alpha.send("beta", [scratch.subarray(0, 10), scratch.subarray(10, 10), scratch.subarray(100)]));
    scratch.fill(0);
    await pair.until(() => pair.atBeta.frames.length === 1, "the frame");
    t.is(Buffer.compare(pair.atBeta.frames[0] ?? hello, expected), 0);
  });

  withPair("a frame is the receiver's to keep", async (t, pair) => {
    await bringUp(pair);
    const count = 300;
    for (let seed = 0; seed < count; seed += 1) t.true(pair.alpha.send("beta", [patternBytes(1000, seed)]));
    await pair.until(() => pair.atBeta.frames.length === count, "all frames");
    const seen = new Set(pair.atBeta.frames.map((frame) => Buffer.from(frame).toString("latin1")));
    for (let seed = 0; seed < count; seed += 1)
      t.true(seen.has(Buffer.from(patternBytes(1000, seed)).toString("latin1")), `frame ${seed} is still what it was`);
  });

  withPair("a frame larger than the largest is refused, and the link lives on", async (t, pair) => {
    await bringUp(pair);
    t.false(pair.alpha.send("beta", [new Uint8Array(pair.alpha.maxFrameBytes("beta")), Uint8Array.of(1)]));
    t.true(pair.alpha.send("beta", [Uint8Array.of(9)]));
    await pair.until(() => pair.atBeta.frames.length === 1, "the next frame");
    t.deepEqual([...(pair.atBeta.frames[0] ?? [])], [9]);
    t.true(pair.atAlpha.up && pair.atBeta.up);
  });

  withPair("a peer that is not configured is never sent to", async (t, pair) => {
    await bringUp(pair);
    t.false(pair.alpha.send("gamma", [hello]));
    t.false(pair.alpha.send("alpha", [hello]));
    t.is(pair.alpha.bufferedBytes("gamma"), 0);
  });

  withPair(
    "a burst far beyond what may wait is refused in part; what was taken arrives, and the rest can follow",
    async (t, pair) => {
      await bringUp(pair);
      const block = patternBytes(64 * 1024, 77);
      const wanted = Math.ceil((8 * pair.maxBufferedBytes) / block.length);
      let taken = 0;
      let refused = 0;
      await pair.until(() => {
        while (taken < wanted && pair.alpha.send("beta", [Uint8Array.of(taken & 255, taken >> 8), block])) taken += 1;
        if (taken < wanted) refused += 1;
        return taken === wanted;
      }, "eight times what may wait to be taken");
      t.true(refused > 0, "the sender was held back");
      await pair.until(() => pair.atBeta.frames.length === wanted, "all that was taken");
      const numbers = pair.atBeta.frames.map((frame) => (frame[0] ?? 0) + 256 * (frame[1] ?? 0));
      const inOrder = Array.from({ length: wanted }, (_, at) => at);
      t.deepEqual(pair.keepsOrder ? numbers : numbers.toSorted((a, b) => a - b), inOrder);
      t.true(
        pair.atBeta.frames.every((frame) => Buffer.compare(frame.subarray(2), block) === 0),
        "unmodified",
      );
      await pair.until(() => pair.alpha.bufferedBytes("beta") === 0, "nothing to wait any more");
    },
  );

  withPair("handlers are never called from inside a call", async (t, pair) => {
    await bringUp(pair);
    let inside = false;
    let broken = 0;
    const count = () => {
      if (inside) broken += 1;
    };
    for (const ear of [pair.atAlpha, pair.atBeta]) {
      const { onFrame } = ear.handlers;
      ear.handlers.onFrame = (peer, frame) => {
        count();
        onFrame(peer, frame);
      };
    }
    for (let round = 0; round < 100; round += 1) {
      inside = true;
      pair.alpha.send("beta", [hello]);
      pair.beta.send("alpha", [hello]);
      inside = false;
    }
    await pair.until(() => pair.atAlpha.frames.length === 100 && pair.atBeta.frames.length === 100, "all frames");
    t.is(broken, 0);
  });

  withPair(
    "a cut is told at both ends; nothing sent meanwhile ever arrives; it comes up again by itself",
    async (t, pair) => {
      await bringUp(pair);
      await pair.settle(pair.cut());
      await pair.until(() => !pair.atAlpha.up && !pair.atBeta.up, "both ends to be down");
      t.deepEqual(pair.atAlpha.events, ["down beta"]);
      t.deepEqual(pair.atBeta.events, ["down alpha"]);
      const stale = patternBytes(100, 13);
      for (let count = 0; count < 50; count += 1) {
        pair.alpha.send("beta", [stale]);
        pair.beta.send("alpha", [stale]);
      }
      await pair.settle(pair.heal());
      await bringUp(pair);
      pair.alpha.send("beta", [hello]);
      pair.beta.send("alpha", [hello]);
      await pair.until(() => pair.atAlpha.frames.length > 0 && pair.atBeta.frames.length > 0, "a frame after the cut");
      const isStale = (frame: Uint8Array) => Buffer.compare(frame, stale) === 0;
      t.false(pair.atAlpha.frames.some(isStale));
      t.false(pair.atBeta.frames.some(isStale));
    },
  );

  withPair(
    "a connection that breaks in the middle of a burst delivers its beginning, in whole frames, and never the rest",
    async (t, pair) => {
      for (let round = 0; round < 3; round += 1) {
        await bringUp(pair);
        const block = patternBytes(20_000, round + 1);
        let sent = 0;
        while (sent < 150 && pair.alpha.send("beta", [Uint8Array.of(round, sent), block])) sent += 1;
        t.true(sent > 1);
        if (round > 0) await pair.until(() => pair.atBeta.frames.length >= round, "the first frames");
        await pair.settle(pair.cut());
        await pair.until(() => !pair.atAlpha.up && !pair.atBeta.up, "both ends to be down");
        const arrived = pair.atBeta.frames.length;
        const numbers = pair.atBeta.frames.map((frame) => frame[1] ?? -1);
        if (pair.keepsOrder) t.deepEqual(numbers, [...numbers.keys()]);
        t.true(pair.atBeta.frames.every((frame) => Buffer.compare(frame.subarray(2), block) === 0));
        await pair.settle(pair.heal());
        await pair.until(() => {
          pair.alpha.send("beta", [hello]);
          pair.beta.send("alpha", [hello]);
          return pair.atBeta.frames.length > arrived;
        }, "a frame after the cut");
        t.true(pair.atBeta.frames.slice(arrived).every((frame) => frame.length < 100));
      }
    },
  );

  withPair("no frame comes between a `down` and the next `up`", async (t, pair) => {
    for (let round = 0; round < 4; round += 1) {
      await bringUp(pair);
      const say = () => {
        pair.alpha.send("beta", [hello]);
        pair.beta.send("alpha", [hello]);
      };
      for (let time = 0; time < 20; time += 1) say();
      await pair.settle(pair.cut());
      await pair.until(() => {
        say();
        return !pair.atAlpha.up && !pair.atBeta.up;
      }, "both ends to be down");
      await pair.settle(pair.heal());
      await pair.until(() => {
        say();
        return pair.atAlpha.up && pair.atBeta.up;
      }, "both ends to be up again");
      for (const ear of [pair.atAlpha, pair.atBeta]) {
        const changes = ear.events.filter((event, at) => event !== ear.events[at - 1]);
        const whileDown = changes.filter(
          (event, at) => event.startsWith("frame") && changes[at - 1]?.startsWith("down"),
        );
        t.deepEqual(whileDown, [], changes.join(", "));
      }
    }
  });

  test.serial(`${name}: a link that was not started sends nothing and holds nothing`, async (t) => {
    const rig = await makeRig(t);
    try {
      t.false(rig.alpha.send("beta", [hello]));
      t.is(rig.alpha.bufferedBytes("beta"), 0);
      t.true(rig.alpha.maxFrameBytes("beta") > 0);
    } finally {
      await rig.settle(Promise.all([rig.alpha.stop(), rig.beta.stop()]));
      await rig.dispose();
    }
  });

  withPair("a peer that stops is told as such, and may start again", async (t, pair) => {
    await bringUp(pair);
    await pair.settle(pair.beta.stop());
    await pair.until(() => {
      pair.alpha.send("beta", [hello]);
      return !pair.atAlpha.up;
    }, "alpha to know");
    t.true(pair.reasons.stopped.includes(pair.atAlpha.lastDown ?? "disconnected"), `told ${pair.atAlpha.lastDown}`);
    const heard = pair.atBeta.frames.length;
    t.false(pair.beta.send("alpha", [hello]), "a stopped link sends nothing");
    t.is(pair.atBeta.frames.length, heard);
    await pair.settle(pair.beta.start(pair.atBeta.handlers));
    await bringUp(pair);
    t.true(pair.atAlpha.up && pair.atBeta.up);
  });

  test.serial(`${name}: a peer that was never there is told as such`, async (t) => {
    const rig = await makeRig(t);
    const ear = new Ear();
    try {
      await rig.settle(rig.betaIsAbsent());
      await rig.settle(rig.alpha.start(ear.handlers));
      await rig.until(() => {
        rig.alpha.send("beta", [hello]);
        return ear.lastDown !== null;
      }, "alpha to be told");
      t.true(rig.reasons.absent.includes(ear.lastDown ?? "disconnected"), `told ${ear.lastDown}`);
      t.false(ear.up);
      t.is(ear.frames.length, 0);
    } finally {
      await rig.settle(Promise.all([rig.alpha.stop(), rig.beta.stop()]));
      await rig.dispose();
    }
  });
}
