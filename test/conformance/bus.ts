/**
 * What every Bus must do: run on bus-nats and on the simulated broker.
 *
 * A bus may lose messages, but it keeps the order of one publisher, never repeats, and above all never sends later what
 * was published while it was disconnected (situation 15).
 */
import test, { type ExecutionContext } from "ava";
import { type Bus, type BusMessage, noRespondersStatus } from "../../actors/world/ports.ts";
import { bytesOf, patternBytes, type Rig, textOf } from "./rig.ts";

export interface BusRig extends Rig {
  /** One more bus on the rig's broker, not started. */
  make(): Bus;
  /** First token of every subject of this test, so that tests can share a broker. */
  readonly prefix: string;
  /** Takes the broker away from all buses; resolves when it is gone. */
  brokerGone(): Promise<void>;
  brokerBack(): Promise<void>;
}

interface Context {
  readonly rig: BusRig;
  /** A started, connected bus, stopped at the end. */
  readonly open: () => Promise<Opened>;
  /** Resolves when everything that `from` published before has reached all who listen. */
  readonly settled: (from: Bus, to: Bus) => Promise<void>;
}

interface Opened {
  readonly bus: Bus;
  readonly states: boolean[];
}

export function busConformance(name: string, makeRig: (t: ExecutionContext) => Promise<BusRig>): void {
  const withBroker = (title: string, body: (t: ExecutionContext, context: Context) => Promise<void>) => {
    test.serial(`${name}: ${title}`, async (t) => {
      const rig = await makeRig(t);
      const buses: Bus[] = [];
      const open = async () => {
        const bus = rig.make();
        buses.push(bus);
        const states: boolean[] = [];
        await rig.settle(bus.start((connected) => states.push(connected)));
        await rig.until(() => bus.connected() && states.at(-1) === true, "the bus to be connected");
        return { bus, states };
      };
      let markers = 0;
      const settled = async (from: Bus, to: Bus) => {
        markers += 1;
        const subject = `${rig.prefix}.marker.${markers}`;
        let heard = false;
        const listening = to.subscribe(subject, () => {
          heard = true;
        });
        let saidAtMs = Number.NEGATIVE_INFINITY;
        await rig.until(() => {
          if (!heard && rig.clock.nowMs() - saidAtMs > 20) {
            saidAtMs = rig.clock.nowMs();
            from.publish(subject, bytesOf("marker"));
          }
          return heard;
        }, "a marker to arrive");
        listening.stop();
      };
      try {
        await body(t, { rig, open, settled });
      } finally {
        await rig.settle(Promise.all(buses.map((bus) => bus.stop())));
        await rig.dispose();
      }
    });
  };

  /** Collects what arrives as `subject data`. */
  const listen = (bus: Bus, subject: string) => {
    const heard: string[] = [];
    const messages: BusMessage[] = [];
    const subscription = bus.subscribe(subject, (message) => {
      heard.push(`${message.subject} ${textOf(message.data)}`);
      messages.push(message);
    });
    return { heard, messages, stop: () => subscription.stop() };
  };

  withBroker(
    "what is published reaches every subscriber once, the publisher's own too",
    async (t, { rig, open, settled }) => {
      const [a, b] = [await open(), await open()];
      const subject = `${rig.prefix}.one`;
      const ears = [listen(a.bus, subject), listen(b.bus, subject), listen(b.bus, subject)];
      await settled(b.bus, a.bus);
      await settled(a.bus, b.bus);
      t.true(a.bus.publish(subject, bytesOf("hello")));
      t.true(a.bus.publish(subject, new Uint8Array()));
      await settled(a.bus, b.bus);
      await settled(a.bus, a.bus);
      for (const ear of ears) t.deepEqual(ear.heard, [`${subject} hello`, `${subject} `]);
      t.deepEqual(a.states, [true]);
    },
  );

  withBroker(
    "an inbox hears answers, behind more tokens too, and no other inbox does",
    async (t, { open, settled }) => {
      const [a, b] = [await open(), await open()];
      const [one, other] = [a.bus.inbox(), a.bus.inbox()];
      t.not(one, other);
      const ears = [listen(a.bus, one), listen(a.bus, `${one}.*`), listen(a.bus, other)];
      await settled(a.bus, a.bus);
      b.bus.publish(one, bytesOf("1"));
      b.bus.publish(`${one}.7`, bytesOf("2"));
      await settled(b.bus, a.bus);
      t.deepEqual(
        ears.map(({ heard }) => heard),
        [[`${one} 1`], [`${one}.7 2`], []],
      );
    },
  );

  withBroker("wildcards match whole tokens, `>` one or more at the end", async (t, { rig, open, settled }) => {
    const [a, b] = [await open(), await open()];
    const p = rig.prefix;
    const patterns = [`${p}.x.*`, `${p}.*.y`, `${p}.x.>`, `${p}.x.y`, `${p}.>`];
    const ears = patterns.map((pattern) => listen(b.bus, pattern));
    await settled(b.bus, b.bus);
    for (const ear of ears) ear.heard.length = 0;
    for (const subject of ["x", "x.y", "x.z", "x.y.z", "w.y", "xx.y"]) a.bus.publish(`${p}.${subject}`, bytesOf("1"));
    await settled(a.bus, b.bus);
    const matched = ears.map(({ heard }) =>
      heard.filter((line) => !line.includes(".marker.")).map((line) => (line.split(" ")[0] ?? "").slice(p.length + 1)),
    );
    t.deepEqual(matched, [
      ["x.y", "x.z"],
      ["x.y", "w.y", "xx.y"],
      ["x.y", "x.z", "x.y.z"],
      ["x.y"],
      ["x", "x.y", "x.z", "x.y.z", "w.y", "xx.y"],
    ]);
  });

  withBroker(
    "a stopped subscription hears nothing more, also when it stops itself",
    async (t, { rig, open, settled }) => {
      const [a, b] = [await open(), await open()];
      const subject = `${rig.prefix}.stop`;
      const stopped = listen(b.bus, subject);
      let count = 0;
      const once = b.bus.subscribe(subject, () => {
        count += 1;
        once.stop();
        once.stop();
      });
      await settled(b.bus, b.bus);
      for (let at = 0; at < 10; at += 1) a.bus.publish(subject, bytesOf("1"));
      await settled(a.bus, b.bus);
      t.is(count, 1);
      t.is(stopped.heard.length, 10);
      stopped.stop();
      a.bus.publish(subject, bytesOf("2"));
      await settled(a.bus, b.bus);
      t.is(stopped.heard.length, 10);
    },
  );

  withBroker("one publisher's messages keep their order, in bursts and between", async (t, { rig, open, settled }) => {
    const [a, b] = [await open(), await open()];
    const subject = `${rig.prefix}.order`;
    const ear = listen(b.bus, subject);
    await settled(b.bus, b.bus);
    const wanted: string[] = [];
    for (let burst = 0; burst < 20; burst += 1) {
      for (let at = 0; at < 200; at += 1) {
        const text = `${burst}.${at}${"x".repeat((at * 37) % 3000)}`;
        wanted.push(`${subject} ${text}`);
        t.true(a.bus.publish(subject, bytesOf(text)));
      }
      await rig.settle(new Promise<void>((resolve) => rig.clock.soon(resolve)));
    }
    await settled(a.bus, b.bus);
    t.deepEqual(ear.heard, wanted);
  });

  withBroker(
    "data of every size arrives unmodified, is the receiver's to keep, and not kept by the sender",
    async (t, { rig, open }) => {
      const [a, b] = [await open(), await open()];
      const subject = `${rig.prefix}.size`;
      const ear = listen(b.bus, subject);
      await rig.until(() => {
        a.bus.publish(subject, bytesOf("first"));
        return ear.heard.length > 0;
      }, "the first message");
      const sizes = [0, 1, 1000, 65_535, 65_536, 200_000, a.bus.maxPayloadBytes() - 1, a.bus.maxPayloadBytes()];
      for (const size of sizes) {
        const before = ear.messages.length;
        const scratch = patternBytes(size, size + 7);
        t.true(a.bus.publish(subject, scratch), `${size} bytes are taken`);
        scratch.fill(0);
        await rig.until(
          () => ear.messages.length > before && ear.messages.at(-1)?.data.length === size,
          `the message of ${size} bytes`,
        );
      }
      for (const size of sizes) {
        const found = ear.messages.findLast((message) => message.data.length === size);
        t.is(Buffer.compare(found?.data ?? bytesOf("none"), patternBytes(size, size + 7)), 0, `${size} bytes`);
      }
      t.false(a.bus.publish(subject, new Uint8Array(a.bus.maxPayloadBytes() + 1)), "too large is not sent");
      t.false(a.bus.publish(subject, new Uint8Array(a.bus.maxPayloadBytes()), { Name: "value" }), "headers count");
      const before = ear.messages.length;
      t.true(a.bus.publish(subject, bytesOf("and it lives on")));
      await rig.until(() => ear.messages.length > before, "the next message");
      t.true(a.bus.connected());
    },
  );

  withBroker(
    "what has room is taken, to the byte; what has none is not sent, and is told",
    async (t, { rig, open }) => {
      const [a, b] = [await open(), await open()];
      const subject = `${rig.prefix}.room`;
      const ear = listen(b.bus, subject);
      const faults: string[] = [];
      const listening = a.bus.onFault((fault) => faults.push(`${fault.kind} ${fault.subject}`));
      await rig.until(() => {
        a.bus.publish(subject, bytesOf("first"));
        return ear.heard.length > 0;
      }, "the first message");
      const given = { Name: "value" };
      const reply = `${rig.prefix}.answers`;
      const room = a.bus.room(subject, given, reply);
      t.true(room > 0 && room < a.bus.maxPayloadBytes());
      t.true(a.bus.publish(subject, new Uint8Array(room), given, reply));
      await rig.until(() => ear.messages.at(-1)?.data.length === room, "the largest message");
      t.deepEqual(faults, []);
      t.false(a.bus.publish(subject, new Uint8Array(room + 1), given, reply));
      const long = `${rig.prefix}.${"x".repeat(5_000)}`;
      t.true(a.bus.room(long) < 0);
      t.false(a.bus.publish(long, bytesOf("1")));
      t.true(a.bus.room(subject, undefined, long) < 0);
      t.false(a.bus.publish(subject, bytesOf("1"), undefined, long));
      t.deepEqual(faults, [`size ${subject}`, `size ${long}`, `size ${subject}`]);
      listening.stop();
      t.false(a.bus.publish(long, bytesOf("1")));
      t.is(faults.length, 3, "who listens no more is told no more");
      t.true(await rig.settle(a.bus.flush()), "the connection stays");
    },
  );

  withBroker("headers and reply subject arrive; without them there are none", async (t, { rig, open, settled }) => {
    const [a, b] = [await open(), await open()];
    const subject = `${rig.prefix}.headers`;
    const ear = listen(b.bus, subject);
    await settled(b.bus, b.bus);
    const headers = { "Twinlog-Epoch": "3", "Nats-Msg-Id": "history-17", "Twinlog-Name": "zoë: 100 %" };
    a.bus.publish(subject, bytesOf("both"), headers, `${rig.prefix}.answers`);
    a.bus.publish(subject, bytesOf("headers"), headers);
    a.bus.publish(subject, bytesOf("reply"), undefined, `${rig.prefix}.answers`);
    a.bus.publish(subject, bytesOf("none"));
    a.bus.publish(subject, bytesOf("empty"), {});
    await settled(a.bus, b.bus);
    t.deepEqual(
      ear.messages.map((message) => [textOf(message.data), message.headers, message.reply, message.status]),
      [
        ["both", headers, `${rig.prefix}.answers`, undefined],
        ["headers", headers, "", undefined],
        ["reply", undefined, `${rig.prefix}.answers`, undefined],
        ["none", undefined, "", undefined],
        ["empty", undefined, "", undefined],
      ],
    );
  });

  withBroker(
    "a request that nobody listens to is answered so by the broker; an answered one is not",
    async (t, { rig, open, settled }) => {
      const [a, b] = [await open(), await open()];
      const answers = listen(a.bus, `${rig.prefix}.answers`);
      await settled(a.bus, a.bus);
      a.bus.publish(`${rig.prefix}.nobody`, bytesOf("anyone?"), undefined, `${rig.prefix}.answers`);
      await rig.until(() => answers.messages.length === 1, "the broker's answer");
      t.is(answers.messages[0]?.status, noRespondersStatus);
      t.is(answers.messages[0]?.data.length, 0);
      b.bus.subscribe(`${rig.prefix}.somebody`, (message) => b.bus.publish(message.reply, bytesOf("here")));
      await settled(b.bus, b.bus);
      a.bus.publish(`${rig.prefix}.somebody`, bytesOf("anyone?"), undefined, `${rig.prefix}.answers`);
      await rig.until(() => answers.messages.length === 2, "the answer");
      t.is(textOf(answers.messages[1]?.data ?? bytesOf("none")), "here");
      t.is(answers.messages[1]?.status, undefined);
    },
  );

  withBroker("of several publishers each one's messages keep their order", async (t, { rig, open, settled }) => {
    const [a, b, c] = [await open(), await open(), await open()];
    const subject = `${rig.prefix}.several`;
    const ear = listen(c.bus, subject);
    await settled(c.bus, c.bus);
    for (let at = 0; at < 100; at += 1)
      for (const [name, { bus }] of Object.entries({ a, b })) t.true(bus.publish(subject, bytesOf(`${name} ${at}`)));
    await settled(a.bus, c.bus);
    await settled(b.bus, c.bus);
    for (const name of ["a", "b"])
      t.deepEqual(
        ear.heard.filter((line) => line.includes(` ${name} `)),
        Array.from({ length: 100 }, (_, at) => `${subject} ${name} ${at}`),
      );
  });

  withBroker("who listens no more, or has stopped, is nobody", async (t, { rig, open, settled }) => {
    const [a, b] = [await open(), await open()];
    const answers = listen(a.bus, `${rig.prefix}.answers`);
    const subject = `${rig.prefix}.somebody`;
    const first = b.bus.subscribe(subject, () => undefined);
    const second = b.bus.subscribe(subject, () => undefined);
    await settled(a.bus, a.bus);
    await settled(b.bus, b.bus);
    const ask = async (expected: number) => {
      a.bus.publish(subject, bytesOf("anyone?"), undefined, `${rig.prefix}.answers`);
      await settled(a.bus, a.bus);
      t.is(answers.messages.length, expected);
    };
    await ask(0);
    first.stop();
    await settled(b.bus, b.bus);
    await ask(0);
    second.stop();
    await settled(b.bus, b.bus);
    await ask(1);
    b.bus.subscribe(subject, () => undefined);
    await settled(b.bus, b.bus);
    await ask(1);
    await rig.settle(b.bus.stop());
    await rig.until(() => {
      a.bus.publish(subject, bytesOf("anyone?"), undefined, `${rig.prefix}.answers`);
      return answers.messages.length > 1;
    }, "the broker to say that nobody is there");
    t.is(answers.messages.at(-1)?.status, noRespondersStatus);
  });

  withBroker("nothing is sent before the start or after the stop", async (t, { rig, open, settled }) => {
    const { bus: listener } = await open();
    const ear = listen(listener, `${rig.prefix}.never`);
    await settled(listener, listener);
    const bus = rig.make();
    t.false(bus.connected());
    t.false(bus.publish(`${rig.prefix}.never`, bytesOf("early")));
    const states: boolean[] = [];
    await rig.settle(bus.start((connected) => states.push(connected)));
    await rig.until(() => bus.connected(), "the bus to be connected");
    await settled(bus, listener);
    t.true(bus.publish(`${rig.prefix}.never`, bytesOf("last word")));
    await rig.settle(bus.stop());
    t.false(bus.connected());
    t.false(bus.publish(`${rig.prefix}.never`, bytesOf("late")));
    await rig.until(() => ear.heard.length > 0, "the last word, which was taken before the stop");
    await settled(listener, listener);
    t.deepEqual(ear.heard, [`${rig.prefix}.never last word`]);
  });

  withBroker(
    "a lost broker is told; nothing published meanwhile is ever sent; subscriptions hold when it is back",
    async (t, { rig, open, settled }) => {
      const [a, b] = [await open(), await open()];
      const subject = `${rig.prefix}.gone`;
      const ear = listen(b.bus, subject);
      await settled(b.bus, b.bus);
      a.bus.publish(subject, bytesOf("before"));
      await settled(a.bus, b.bus);
      for (let round = 1; round <= 3; round += 1) {
        await rig.settle(rig.brokerGone());
        // From before it is noticed until after it is back.
        const publishAll = () => {
          for (let at = 0; at < 20; at += 1) {
            const taken = a.bus.publish(subject, bytesOf("stale"), { "Twinlog-Epoch": "1" });
            if (taken && !a.bus.connected()) t.fail("taken while disconnected");
          }
        };
        await rig.until(() => {
          publishAll();
          return a.states.at(-1) === false && b.states.at(-1) === false;
        }, "both to be told");
        t.false(a.bus.connected());
        t.false(a.bus.publish(subject, bytesOf("stale")));
        const late = listen(b.bus, `${rig.prefix}.late${round}`);
        await rig.settle(rig.brokerBack());
        await rig.until(() => a.bus.connected() && b.bus.connected(), "both to be connected again");
        await settled(b.bus, b.bus);
        t.true(a.bus.publish(subject, bytesOf(`after ${round}`)));
        t.true(a.bus.publish(`${rig.prefix}.late${round}`, bytesOf("1")));
        await settled(a.bus, b.bus);
        t.is(late.heard.length, 1, "subscribed while disconnected");
      }
      t.deepEqual(
        ear.heard,
        ["before", "after 1", "after 2", "after 3"].map((text) => `${subject} ${text}`),
      );
      t.deepEqual(a.states, [true, false, true, false, true, false, true]);
    },
  );

  withBroker("a start without a broker resolves, and it connects when there is one", async (t, { rig }) => {
    await rig.settle(rig.brokerGone());
    const bus = rig.make();
    const states: boolean[] = [];
    try {
      const ear = listen(bus, `${rig.prefix}.early`);
      await rig.settle(bus.start((connected) => states.push(connected)));
      t.false(bus.connected());
      t.false(bus.publish(`${rig.prefix}.early`, bytesOf("stale")));
      await rig.settle(rig.brokerBack());
      await rig.until(() => bus.connected() && states.at(-1) === true, "the bus to be connected");
      await rig.until(() => {
        bus.publish(`${rig.prefix}.early`, bytesOf("fresh"));
        return ear.heard.length > 0;
      }, "a message");
      t.is(ear.heard[0], `${rig.prefix}.early fresh`);
      t.deepEqual(states.filter(Boolean), [true]);
    } finally {
      await rig.settle(bus.stop());
    }
  });

  withBroker(
    "a flush is true when the broker has all that was published before, and false without a broker",
    async (t, { rig, open, settled }) => {
      const [a, b] = [await open(), await open()];
      const subject = `${rig.prefix}.flush`;
      const ear = listen(b.bus, subject);
      await settled(b.bus, b.bus);
      for (let at = 0; at < 100; at += 1) a.bus.publish(subject, patternBytes(5000, at));
      t.true(await rig.settle(a.bus.flush()));
      // The broker has them, so whoever asks it now is told after them.
      await settled(b.bus, b.bus);
      t.is(ear.messages.length, 100);
      await rig.settle(rig.brokerGone());
      a.bus.publish(subject, bytesOf("lost"));
      t.false(await rig.settle(a.bus.flush()), "lost on the way, or already known to be lost");
      await rig.until(() => !a.bus.connected(), "the loss to be known");
      t.false(await rig.settle(a.bus.flush()));
      t.false(await rig.settle(rig.make().flush()), "a bus that was never started");
      await rig.settle(rig.brokerBack());
      await rig.until(() => a.bus.connected(), "the bus to be connected again");
      t.true(await rig.settle(a.bus.flush()));
    },
  );

  withBroker("handlers are never called from inside a call", async (t, { rig, open }) => {
    const { bus } = await open();
    const subject = `${rig.prefix}.inside`;
    let inside = false;
    let heard = 0;
    bus.subscribe(subject, () => {
      t.false(inside);
      heard += 1;
    });
    await rig.until(() => {
      inside = true;
      bus.publish(subject, bytesOf("1"));
      inside = false;
      return heard > 20;
    }, "twenty messages");
  });

  withBroker("a service is announced and taken back", async (t, { open, rig }) => {
    const { bus } = await open();
    const service = await rig.settle(
      bus.announceService({
        name: rig.prefix,
        version: "1.2.3",
        description: "a test",
        metadata: { server: "alpha" },
        stats: () => ({ committed: 1 }),
        mayAnswer: () => true,
      }),
    );
    t.notThrows(() => {
      service.stop();
      service.stop();
    });
    t.true(bus.connected());
  });
}
