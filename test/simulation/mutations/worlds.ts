/**
 * Worlds that break a rule: a port with another one around it, for decisions that are the adapters' and the writer's. What
 * always holds: everything that is not broken on purpose goes through.
 */
import { type Registry, type SideStore, type Store, StoreError, type World } from "../../../actors/world/ports.ts";
import { everything, metaKey } from "../../../machines/checkpoint/layout.ts";
import { initialRecord } from "../../../machines/replica/initial-record.ts";

function withStore(world: World, change: (store: Store) => Partial<Store>): World {
  const { store } = world;
  const same: Store = {
    open: () => store.open(),
    get: (key) => store.get(key),
    entries: (range) => store.entries(range),
    image: () => store.image(),
    write: (batch, options) => store.write(batch, options),
    side: () => store.side(),
    close: () => store.close(),
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
        adopt: () => Promise.resolve(),
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
