/**
 * Every I/O boundary of a server: the calls of its ports, what its ports hand it, and its timers. At each of them a
 * simulated process can die, before the call has its effect or after it and before the process hears of it. CI counts
 * each. (`registry.create` is missing: `init` calls it, no server does.)
 */
export const boundaryNames = [
  "store.open",
  "store.get",
  "store.entries",
  "store.write",
  "store.sync",
  "store.image",
  "store.side",
  "side.write",
  "side.image",
  "side.adopt",
  "store.close",
  "registry.read",
  "registry.cas",
  "link.main.send",
  "link.main.receive",
  "link.failsafe.send",
  "link.failsafe.receive",
  "bus.publish",
  "bus.receive",
  "bus.subscribe",
  "timer",
] as const;

export type BoundaryName = (typeof boundaryNames)[number];

/** Where every planned crash of a run is, when the run aims at one. */
export interface AimedCrash {
  readonly when: "before" | "after";
  readonly what: BoundaryName;
}

/** In the product's words, as one does it. */
const inWords: Readonly<Record<BoundaryName, string>> = {
  "store.open": "opens its disk",
  "store.get": "reads a value of its disk",
  "store.entries": "reads its disk",
  "store.write": "writes to its disk",
  "store.sync": "syncs its disk",
  "store.image": "reads an image of its disk",
  "store.side": "begins a side directory",
  "side.write": "writes to its side directory",
  "side.image": "verifies its side directory",
  "side.adopt": "puts its side directory in place",
  "store.close": "closes its disk",
  "registry.read": "reads the registry",
  "registry.cas": "asks the registry for a new epoch",
  "link.main.send": "sends on the main link",
  "link.main.receive": "takes a frame from the main link",
  "link.failsafe.send": "sends on the failsafe link",
  "link.failsafe.receive": "takes a frame from the failsafe link",
  "bus.publish": "publishes to NATS",
  "bus.receive": "takes a message from NATS",
  "bus.subscribe": "subscribes at NATS",
  timer: "handles a timer",
};

/** Those that a server comes to only when it starts: it is killed first, and dies again in its next life. */
export const boundariesOfStart: readonly BoundaryName[] = [
  "store.open",
  "store.entries",
  "store.get",
  "registry.read",
  "bus.subscribe",
];

export function boundaryInWords(what: string): string {
  return inWords[what as BoundaryName] ?? what;
}
