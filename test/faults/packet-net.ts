/**
 * A network of its own for a pair, whose packets can be lost, doubled, late and out of order, each way of each wire on its
 * own: three network namespaces (a hub with NATS, alpha, beta) and between any two a wire of two tun devices, with a program
 * of ours in the middle that carries the packets. TCP above it is the kernel's. What `tc netem` does where the kernel has it,
 * on any Linux with namespaces and tun.
 *
 * What always holds: everything ends with the test process; what is not in the namespaces is never touched.
 */
import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { createInterface, type Interface } from "node:readline";
import type { ExecutionContext } from "ava";
import { type Pair, type PairOptions, startPair } from "../helpers/pair/pair.ts";
import { Ports } from "../helpers/pair/ports.ts";
import { temporaryDirectory } from "../helpers/temporary-directory.ts";
import { source } from "./packet-net-source.ts";

/** From and to: forth is from the first-named, back to it. */
export const wires = { "hub-alpha": 0, "hub-beta": 1, "alpha-beta": 2 } as const;
export type Wire = keyof typeof wires;

export interface Weather {
  /** Of 100 packets. */
  readonly lostPercent?: number;
  readonly doubledPercent?: number;
  readonly lateMs?: number;
  /** More, by chance, of each packet on its own: they overtake each other. */
  readonly jitterMs?: number;
}

const natsPortInside = 4_222;
const linkPortInside = 7_000;
const spaces = { hub: 0, alpha: 1, beta: 2 } as const;
const hostOf = { alpha: "10.77.2.1", beta: "10.77.2.2" } as const;
const natsHostFor = { alpha: "10.77.0.1", beta: "10.77.1.1" } as const;

const isServer = (name: string): name is "alpha" | "beta" => name === "alpha" || name === "beta";

/** What became of packets, on all wires. */
export interface PacketCounts {
  readonly taken: number;
  readonly lost: number;
  readonly doubled: number;
  readonly late: number;
  readonly overtaken: number;
}

export class PacketNet {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: Interface;
  /** Descriptors of the namespaces in the program. */
  readonly #spaces: readonly string[];

  private constructor(child: ChildProcessWithoutNullStreams, lines: Interface, ready: string) {
    this.#child = child;
    this.#lines = lines;
    this.#spaces = ready.split(" ").slice(1);
  }

  /** Or why there is none. `natsPort`: on loopback outside; servers inside reach it through the hub. */
  static async build(t: ExecutionContext, natsPort: number): Promise<PacketNet | string> {
    if (process.platform !== "linux") return "only Linux has network namespaces and tun devices";
    const folder = await temporaryDirectory(t);
    const program = join(folder, "packet-net");
    writeFileSync(`${program}.c`, source);
    try {
      execFileSync("gcc", ["-O1", "-Wall", "-Werror", "-o", program, `${program}.c`], { stdio: "pipe" });
      execFileSync("nsenter", ["--version"], { stdio: "pipe" });
    } catch (error) {
      return `gcc and nsenter are needed: ${(error as Error).message.split("\n")[0]}`;
    }
    const child = spawn(program, [String(natsPort)], { stdio: ["pipe", "pipe", "pipe"] });
    let errors = "";
    child.stderr.on("data", (data: Buffer) => {
      errors += data.toString();
    });
    const ended = new Promise<null>((resolve) => child.once("close", () => resolve(null)));
    t.teardown(async () => {
      child.stdin.end();
      await ended;
    });
    const lines = createInterface({ input: child.stdout });
    const ready = await Promise.race([new Promise<string>((resolve) => lines.once("line", resolve)), ended]);
    return ready === null
      ? `no network of its own can be made here: ${errors.trim()}`
      : new PacketNet(child, lines, ready);
  }

  /** Words before a command that run it in the namespace. */
  inside(space: keyof typeof spaces): string[] {
    return ["nsenter", `--net=/proc/${this.#child.pid}/fd/${this.#spaces[spaces[space]]}`];
  }

  /** What happens to packets from now on; to what is on its way already, nothing. */
  weather(wire: Wire, weather: Weather, way: "forth" | "back" | "both" = "both"): void {
    const { lostPercent = 0, doubledPercent = 0, lateMs = 0, jitterMs = 0 } = weather;
    const ways = way === "both" ? [0, 1] : [way === "forth" ? 0 : 1];
    for (const one of ways)
      this.#child.stdin.write(`${wires[wire]} ${one} ${lostPercent} ${doubledPercent} ${lateMs} ${jitterMs}\n`);
  }

  /** Since the beginning. */
  async counts(): Promise<PacketCounts> {
    const answer = new Promise<string>((resolve) => this.#lines.once("line", resolve));
    this.#child.stdin.write("\n");
    const [taken = 0, lost = 0, doubled = 0, late = 0, overtaken = 0] = (await answer).split(" ").map(Number);
    return { taken, lost, doubled, late, overtaken };
  }

  everywhere(weather: Weather): void {
    for (const wire of Object.keys(wires) as Wire[]) this.weather(wire, weather);
  }
}

/** A pair in a network of its own: nats-server and clients are outside, and have no trouble with each other. Or why not. */
export async function startPacketPair(
  t: ExecutionContext,
  options: Omit<PairOptions, "proxied" | "nats" | "settings" | "launcher"> = {},
): Promise<{ readonly pair: Pair; readonly net: PacketNet } | string> {
  const ports = new Ports();
  t.teardown(() => ports.release());
  const natsPort = await ports.reserve();
  const net = await PacketNet.build(t, natsPort);
  if (typeof net === "string") return net;
  const pair = await startPair(t, {
    ...options,
    nats: { port: natsPort },
    launcher: (name) => (isServer(name) ? net.inside(name) : []),
    settings: (name) => ({
      servers: (["alpha", "beta"] as const).map((one) => ({ name: one, host: hostOf[one], port: linkPortInside })),
      nats: { servers: isServer(name) ? [`nats://${natsHostFor[name]}:${natsPortInside}`] : [], allowPlaintext: true },
      mainLink: { allowPlaintext: true },
      peers: { allowUnproven: true },
    }),
  });
  return { pair, net };
}
