/**
 * Worlds that break a rule: a port with another one around it, for decisions that are the adapters' and the writer's. What
 * always holds: everything that is not broken on purpose goes through.
 */

import { SimBus } from "../../../actors/testing/world/sim-bus.ts";
import {
  type LinkHandlers,
  type Registry,
  type SideStore,
  type Store,
  type StoreEntry,
  StoreError,
  type World,
} from "../../../actors/world/ports.ts";
import { everything, metaKey } from "../../../machines/checkpoint/layout.ts";
import { refusal } from "../../../machines/replica/primary/intake.ts";
import { initialRecord } from "../../../machines/replica/registry/initial-record.ts";
import { headers } from "../../../schemas/envelope.ts";

function withStore(world: World, change: (store: Store) => Partial<Store>): World {
  const { store } = world;
  const same: Store = {
    open: () => store.open(),
    get: (key) => store.get(key),
    entries: (range) => store.entries(range),
    image: () => store.image(),
    write: (batch, options) => store.write(batch, options),
    side: () => store.side(),
    usage: () => store.usage(),
    close: () => store.close(),
    release: () => store.release(),
  };
  return { ...world, store: { ...same, ...change(store) } };
}

function withRegistry(world: World, change: (registry: Registry) => Partial<Registry>): World {
  const { registry } = world;
  const same: Registry = {
    read: () => registry.read(),
    compareAndSet: (record, expected) => registry.compareAndSet(record, expected),
    create: (record) => registry.create(record),
    warnings: () => registry.warnings(),
    streamsOver: (subjects) => registry.streamsOver(subjects),
  };
  return { ...world, registry: { ...same, ...change(registry) } };
}

/** Rule 6: what one flush writes goes in two: tables and queues, then the position at which they stand. */
export function inTwoWrites(world: World): World {
  return withStore(world, (store) => ({
    write: async (batch, options) => {
      const isMeta = ({ key }: { key: Uint8Array }) => Buffer.compare(key, metaKey) === 0;
      const rest = batch.filter((write) => !isMeta(write));
      if (rest.length > 0) await store.write(rest, options);
      if (rest.length < batch.length) await store.write(batch.filter(isMeta), options);
    },
  }));
}

/** Rule 7: a snapshot goes over the old store as it comes. */
export function withoutSideDirectory(world: World): World {
  return withStore(world, (store) => ({
    side: async (): Promise<SideStore> => {
      const old: Uint8Array[] = [];
      for await (const [key] of store.entries(everything)) old.push(key);
      await store.write(
        old.map((key) => ({ type: "delete", key })),
        { sync: true },
      );
      return {
        write: (batch) => store.write(batch, { sync: true }),
        image: () => store.image(),
        adopt: () => Promise.resolve(null),
        discard: () => Promise.resolve(),
      };
    },
  }));
}

/** Rule 14: after an error the write is tried again on the same handle, and the second try is believed. */
export function believingTheSecondTry(world: World): World {
  return withStore(world, (store) => ({
    write: (batch, options) =>
      store.write(batch, options).catch((error: unknown) => {
        if (!(error instanceof StoreError)) throw error;
      }),
  }));
}

/** The registry's section: after a timeout a compare-and-set counts as lost. */
export function takingSilenceForLoss(world: World): World {
  return withRegistry(world, (registry) => ({
    compareAndSet: async (record, expected) => {
      const answer = await registry.compareAndSet(record, expected);
      return answer.outcome === "unknown" ? { outcome: "lost" } : answer;
    },
  }));
}

/** The registry's section: where there is no record, there never was one. */
export function firstWhereNothingIs(world: World): World {
  let history = "another";
  return withRegistry(world, (registry) => ({
    read: async () => {
      const answer = await registry.read();
      if (answer.outcome === "found") history = answer.record.history;
      if (answer.outcome !== "missing") return answer;
      await registry.create(initialRecord("sim", "alpha", history));
      return await registry.read();
    },
  }));
}

/** Rule 7: what came is adopted as it came: what is read back to be proved is what was sent, not what is there. */
export function withoutProof(world: World): World {
  return withStore(world, (store) => ({
    side: async (): Promise<SideStore> => {
      const side = await store.side();
      const sent = new Map<string, StoreEntry>();
      return {
        write: (batch) => {
          for (const write of batch)
            if (write.type === "put") sent.set(Buffer.from(write.key).toString("latin1"), [write.key, write.value]);
          return side.write(batch);
        },
        async *image() {
          for await (const _ of side.image());
          yield* [...sent].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, entry]) => entry);
        },
        adopt: (asideAs) => side.adopt(asideAs),
        discard: () => side.discard(),
      };
    },
  }));
}

/** Rule 7: whoever waits for an answer when the door closes is told that nothing was done. */
export function refusingAtTheDoor(world: World): World {
  const { bus } = world;
  const waiting = new Map<string, { readonly client: string; readonly id: string }>();
  const publish = bus.publish.bind(bus);
  const subscribe = bus.subscribe.bind(bus);
  bus.publish = (subject, data, headers, reply) => {
    waiting.delete(subject);
    return publish(subject, data, headers, reply);
  };
  bus.subscribe = (subject, onMessage) => {
    if (!subject.includes(".request.")) return subscribe(subject, onMessage);
    const subscription = subscribe(subject, (message) => {
      const { client, id } = JSON.parse(Buffer.from(message.data).toString()) as { client: string; id: string };
      waiting.set(message.reply, { client, id });
      onMessage(message);
    });
    return {
      stop: () => {
        subscription.stop();
        for (const [reply, { client, id }] of waiting)
          publish(reply, refusal(client, id, "NOT_HOT", "this server was deposed"));
        waiting.clear();
      },
    };
  };
  return world;
}

/** Rule 13: what stands in for a result has the headers of that result. */
export function takingStandInsForResults(world: World): World {
  return withPublish(world, (publish, subject, data, given, reply) => {
    const { [headers.omitted]: number = "", ...rest } = given ?? {};
    const isStandIn = number !== "" && rest[headers.messageId] !== undefined;
    return publish(subject, data, isStandIn ? { ...rest, [headers.result]: number } : given, reply);
  });
}

/** Rule 13: a reply that the broker does not take is a failure. */
export function replacingWhatDoesNotFit(world: World): World {
  return withPublish(world, (publish, subject, data, given, reply) => {
    const { [headers.omitted]: number = "", ...rest } = given ?? {};
    if (number === "" || rest[headers.messageId] !== undefined) return publish(subject, data, given, reply);
    const told = JSON.parse(Buffer.from(data).toString()) as { error: object };
    const error = { ...told.error, code: "APPLICATION_ERROR" };
    return publish(subject, Buffer.from(JSON.stringify({ ...told, error, sequence: 1, epoch: 1 })), rest, reply);
  });
}

/** Rule 15: what the broker takes is not asked. */
export function sendingWhatDoesNotFit(world: World): World {
  if (world.bus instanceof SimBus) world.bus.beCareless();
  return world;
}

type Publish = World["bus"]["publish"];

function withPublish(world: World, change: (publish: Publish, ...given: Parameters<Publish>) => boolean): World {
  const { bus } = world;
  const publish = bus.publish.bind(bus);
  bus.publish = (...given) => change(publish, ...given);
  return world;
}

/** Rule 9: what a peer's kernel says is not believed, silence alone. */
export function withoutTheKernelsWord(world: World): World {
  return withMain(world, () => undefined);
}

/** Rule 9: a main link that closes is taken for NATS's word too. */
export function takingOneLinkForBoth(world: World): World {
  let onFailsafe: LinkHandlers["onDown"] = () => undefined;
  const { failsafe } = world;
  const start = failsafe.start.bind(failsafe);
  failsafe.start = (handlers) => {
    onFailsafe = (peer, reason) => handlers.onDown(peer, reason);
    return start(handlers);
  };
  return withMain(world, (handlers, peer, reason) => {
    handlers.onDown(peer, reason);
    onFailsafe(peer, reason);
  });
}

type OnMainDown = (handlers: LinkHandlers, ...[peer, reason]: Parameters<LinkHandlers["onDown"]>) => void;

function withMain(world: World, onDown: OnMainDown): World {
  const { main } = world;
  const start = main.start.bind(main);
  main.start = (handlers) =>
    start({
      onUp: (peer) => handlers.onUp(peer),
      onDown: (peer, reason) => onDown(handlers, peer, reason),
      onFrame: (peer, frame) => handlers.onFrame(peer, frame),
    });
  return world;
}
