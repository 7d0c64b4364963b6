/**
 * The record that `init` writes: the named server is the sole member, of an empty log, so that the start table needs no
 * row of its own for a first start (PROTOCOL.md, modes and start). Its incarnation is nobody's.
 */
import type { RegistryRecord } from "../../../schemas/registry.ts";

export const initialEpoch = 1;

/** `history`: a fresh id. */
export function initialRecord(service: string, server: string, history: string): RegistryRecord {
  const nobody = { server, incarnation: "none" };
  return {
    service,
    history,
    epoch: initialEpoch,
    mode: "primary-only",
    writeId: "init",
    previousWriteId: "",
    primary: nobody,
    inSync: [nobody],
    durability: "disk",
    base: { sequence: 0, hash: 0 },
    schema: "",
  };
}
