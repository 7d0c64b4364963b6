/**
 * Bus, failsafe link and registry against a real nats-server: the conformance suites, each adapter behind a proxy so that
 * its broker can be taken away from it alone.
 */
import test from "ava";
import { NatsBus } from "../../actors/world/bus-nats.ts";
import { NatsLine } from "../../actors/world/connection-nats.ts";
import { NatsLink } from "../../actors/world/link-nats.ts";
import { JetStreamRegistry } from "../../actors/world/registry-jetstream.ts";
import { TcpProxy } from "../../deploy/drill/proxy.ts";
import { inboxes } from "../../schemas/subjects.ts";
import { busConformance } from "../conformance/bus.ts";
import { linkConformance } from "../conformance/link.ts";
import { registryConformance } from "../conformance/registry.ts";
import { realRig } from "../conformance/rig.ts";
import { keptLog } from "../helpers/kept-log.ts";
import { sharedNatsServer } from "../helpers/nats.ts";
import { proofWith } from "../helpers/peer-key.ts";

const broker = sharedNatsServer(test);
const MiB = 1024 * 1024;
let names = 0;
const freshName = () => {
  names += 1;
  return `test${names}`;
};

async function proxied() {
  const proxy = new TcpProxy(() => broker.current.port);
  await proxy.listen();
  const rig = realRig();
  const makeLine = () =>
    new NatsLine({
      nats: { servers: [`nats://127.0.0.1:${proxy.port}`] },
      name: "test",
      inboxPrefix: inboxes.client("test"),
      clock: rig.clock,
      log: keptLog(),
    });
  return { rig, proxy, makeLine };
}

busConformance("bus-nats", async () => {
  const { rig, proxy, makeLine } = await proxied();
  return {
    ...rig,
    prefix: freshName(),
    make: () => new NatsBus(makeLine()),
    brokerGone: () => proxy.cut(),
    brokerBack: () => proxy.listen(),
    dispose: () => proxy.close(),
  };
});

for (const isProven of [false, true])
  linkConformance(isProven ? "link-nats with a key" : "link-nats", async () => {
    const proof = isProven ? await proofWith() : undefined;
    const [near, far] = [await proxied(), await proxied()];
    const service = freshName();
    const maxBufferedBytes = 8 * MiB;
    const make = (server: string, { rig, makeLine }: Awaited<ReturnType<typeof proxied>>) =>
      new NatsLink({
        service,
        server,
        servers: ["alpha", "beta"],
        line: makeLine(),
        maxBufferedBytes,
        proof,
        clock: rig.clock,
        log: keptLog(),
      });
    const both = (run: (proxy: TcpProxy) => Promise<void>) => async () => {
      await Promise.all([run(near.proxy), run(far.proxy)]);
    };
    return {
      ...near.rig,
      alpha: make("alpha", near),
      beta: make("beta", far),
      cut: both((proxy) => proxy.cut()),
      heal: both((proxy) => proxy.listen()),
      betaIsAbsent: async () => undefined,
      maxBufferedBytes,
      reasons: { stopped: ["noResponders"], absent: ["noResponders"] },
      keepsOrder: true,
      dispose: both((proxy) => proxy.close()),
    };
  });

test("more headers than a program of ours sends are not read, and the message is", async (t) => {
  const { proxy, rig, makeLine } = await proxied();
  t.teardown(() => proxy.close());
  const [a, b] = [new NatsBus(makeLine()), new NatsBus(makeLine())];
  await Promise.all([a, b].map((bus) => bus.start(() => undefined)));
  t.teardown(() => Promise.all([a.stop(), b.stop()]));
  const subject = freshName();
  const heard: [string, number | undefined][] = [];
  b.subscribe(subject, ({ data, headers }) => {
    heard.push([Buffer.from(data).toString(), headers?.Name?.length]);
  });
  t.true(await b.flush());
  for (const [text, length] of [
    ["little", 7_000],
    ["much", 9_000],
  ] as const)
    a.publish(subject, Buffer.from(text), { Name: "x".repeat(length) });
  await rig.until(() => heard.length === 2, "both messages");
  t.deepEqual(heard, [
    ["little", 7_000],
    ["much", undefined],
  ]);
});

registryConformance("registry-jetstream", async () => {
  const { rig, proxy, makeLine } = await proxied();
  const [service, bucket] = [freshName(), freshName()];
  const lines: NatsLine[] = [];
  return {
    ...rig,
    service,
    make: () => {
      // Held open, as the failsafe link of a server holds it.
      const line = makeLine();
      line.acquire();
      lines.push(line);
      return new JetStreamRegistry({ service, bucket, replicas: 1, timeoutMs: 4_000, line });
    },
    // Silence: what was asked arrives when it ends.
    outage: async () => proxy.freeze(),
    recover: async () => proxy.thaw(),
    dispose: async () => {
      await Promise.all(lines.map((line) => line.release()));
      await proxy.close();
    },
  };
});
