/**
 * Runs `twinlog` commands in this process against a fake service on a broker in memory, with the real clock.
 */
import { openNodeClock } from "../../actors/world/clock-node.ts";
import { connectTo } from "../../deploy/commands/connect.ts";
import { runProgram } from "../../deploy/commands/program.ts";
import { type CommandWorld, operatorInboxes } from "../../deploy/commands/world.ts";
import { SignalDesk } from "../../deploy/signals.ts";
import { FakeServer } from "../helpers/fake-server.ts";
import { TestBus } from "../helpers/hand-world.ts";

export interface Ran {
  readonly status: number;
  readonly out: string;
  readonly err: string;
  readonly files: ReadonlyMap<string, string>;
}

export interface RigOptions {
  readonly input?: string;
  readonly files?: Readonly<Record<string, readonly string[]>>;
  /** What is said at the terminal; none: there is no terminal. */
  readonly confirms?: boolean;
  /** What is typed unseen, one after another. */
  readonly secrets?: string[];
  readonly stopped?: AbortSignal;
  readonly environment?: Readonly<Record<string, string>>;
  readonly serviceFile?: NonNullable<CommandWorld["serviceFile"]>;
  /** Commands connect to the brokers that they are told of, and not to the one in memory. */
  readonly isReal?: boolean;
  /** Of the terminal; there is none without it. */
  readonly columns?: number;
  /** Told of each piece of output as it comes. */
  readonly onOut?: (text: string) => void;
}

export function makeRig() {
  const clock = openNodeClock();
  const bus = new TestBus(clock);
  const server = new FakeServer(bus, clock);
  const connectedTo: string[] = [];
  const run = async (words: readonly string[], options: RigOptions = {}): Promise<Ran> => {
    const written = new Map<string, string>();
    let out = "";
    let err = "";
    const world: CommandWorld = {
      clock,
      connect: (access, onState, inboxPrefix = operatorInboxes(world.environment)) => {
        connectedTo.push(...access.nats.servers);
        if (options.isReal !== true) return Promise.resolve(withoutStop(bus));
        return connectTo(access, access.inboxPrefix ?? inboxPrefix, { clock, err: world.err, onState });
      },
      out: (text) => {
        out += text;
        options.onOut?.(text);
        return Promise.resolve();
      },
      err: (text) => {
        err += text;
      },
      terminal: options.columns === undefined ? null : { columns: options.columns },
      readInput: () => Promise.resolve(options.input ?? ""),
      confirm: () => Promise.resolve(options.confirms ?? null),
      askSecret: () => Promise.resolve(options.secrets?.shift() ?? null),
      async *readLines(path) {
        yield* options.files?.[path] ?? [];
      },
      writeFile: (path, text) => {
        written.set(path, text);
        return Promise.resolve();
      },
      signals: new SignalDesk({ nowMs: () => clock.nowMs(), tell: () => undefined, exit: () => undefined }),
      stopped: options.stopped ?? new AbortController().signal,
      environment: options.environment ?? {},
      serviceFile: options.serviceFile,
    };
    const status = await runProgram(world, "0.0.0", words);
    return { status, out, err, files: written };
  };
  return { clock, bus, server, run, connectedTo };
}

/** The fake service lives on the same bus: a command that is done must not take it down. */
function withoutStop(bus: TestBus) {
  return {
    start: bus.start.bind(bus),
    connected: bus.connected.bind(bus),
    subscribe: bus.subscribe.bind(bus),
    publish: bus.publish.bind(bus),
    maxPayloadBytes: bus.maxPayloadBytes.bind(bus),
    room: bus.room.bind(bus),
    onFault: bus.onFault.bind(bus),
    flush: bus.flush.bind(bus),
    inbox: bus.inbox.bind(bus),
    announceService: bus.announceService.bind(bus),
    stop: () => Promise.resolve(),
  };
}
