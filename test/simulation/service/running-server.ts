/**
 * What the simulator knows of a server that it starts: what it is given, what can be asked of it, how its life ends, and how
 * its incarnations are called.
 */

import type { Recorder } from "../../../actors/testing/recorder.ts";
import type { SimProcess } from "../../../actors/testing/world/sim-process.ts";
import type { World } from "../../../actors/world/ports.ts";
import type { RegistryRecord } from "../../../schemas/registry.ts";
import type { Standing } from "../../../schemas/standing.ts";
import type { Moments } from "../judge/moments.ts";
import type { Oracle } from "../judge/oracle.ts";
import type { LethalRequest } from "./lethal-request.ts";

/** How a server's life ends by itself. fail: it stops with a message; damaged: its disk does not prove right. */
export type ServerEnd = "restart" | "exit" | "fail" | "damaged";

export interface RunningServer {
  /** A clean stop. */
  stop(): Promise<void>;
  readonly ended: Promise<ServerEnd>;
  /** The last record of its log, how far it is committed, and the state of its lifecycle. */
  last?(): number;
  committed?(): number;
  state?(): string;
  incarnation?(): string;
  /** Null while it has not begun. */
  standing?(): Standing | null;
  /** The record that it has asked the registry for and not settled: it asks again. */
  asks?(): RegistryRecord | null;
}

/** Of the application: another one may not take part, and a newer one migrates what there is (rule 19). */
export type Version = "right" | "other" | "newer";

export interface StartContext {
  readonly server: string;
  readonly servers: readonly string[];
  readonly incarnation: string;
  readonly world: World;
  readonly process: SimProcess;
  readonly recorder: Recorder;
  readonly moments: Moments;
  readonly oracle: Oracle;
  readonly lethal: LethalRequest;
  /** Something that no server may do. */
  readonly onViolation: (of: string, text: string) => void;
  readonly version: Version;
  /** Its machine is in this state now. */
  onState(state: string): void;
}

export type StartServer = (context: StartContext) => RunningServer;

/** A process may live more than once: `alpha-3`, then `alpha-3.2`. */
export function isLifeOf(process: SimProcess, incarnation: string): boolean {
  const name = incarnationOf(process);
  return incarnation === name || incarnation.startsWith(`${name}.`);
}

/** The life's number makes the incarnation: a story can be read, and the registry's words can be matched to processes. */
export function incarnationOf(process: SimProcess): string {
  return process.name.replace("#", "-");
}
