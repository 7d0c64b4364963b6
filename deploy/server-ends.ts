/**
 * Why a server does not start, or ends itself: one code each, by which deploy/RUNBOOK.md tells what to do. What always holds: every
 * typed error that can end a server has its code here; what is of no type is `error`.
 */

import { HttpError } from "../actors/world/http-error.ts";
import { LinkError } from "../actors/world/link-error.ts";
import { StoreError } from "../actors/world/ports.ts";
import { RecoveryError } from "../machines/checkpoint/scan.ts";
import { ApplicationNotFound } from "./applications.ts";
import { SettingsError } from "./settings-file.ts";

export const serverEnds = {
  settings: "its settings cannot be read, or do not go together",
  application: "its application is not found, or cannot be loaded",
  "store.locked": "another process uses its data directory",
  "store.unsafe": "its data directory is another user's, or others may write it",
  "store.damaged": "its data directory is incomplete or damaged",
  "store.full": "its disk is full",
  "store.failed": "its disk failed",
  "link.port-taken": "another program listens on its main link's port",
  "link.bad-address": "its main link's address is none of this machine",
  "link.plaintext-refused": "it would speak unencrypted beyond this machine",
  "link.tls-files": "its TLS files cannot be read",
  "link.key-missing": "servers could not prove to each other who they are",
  "link.key-file": "the file with the key of the servers cannot be used",
  "http.port-taken": "another program listens on its port for HTTP",
  "http.bad-address": "its address for HTTP is none of this machine, or may not be used",
  "recovery.damaged": "what is in its store does not fit together",
  "recovery.format": "its store was written by another version",
  "recovery.service": "its store belongs to another service",
  "recovery.server": "its store belongs to another server",
  "recovery.schema": "its store was written by an application with other schemas",
  error: "something went wrong that should never happen",
  // These end a process before it can say so on its own: its log does, or the other server's.
  exception: "an exception of the application that nobody caught",
  blocked: "code of the application did not return",
  killed: "somebody, or the kernel, killed it",
} as const;
export type ServerEnd = keyof typeof serverEnds;

const linkEnds = {
  PORT_TAKEN: "link.port-taken",
  BAD_ADDRESS: "link.bad-address",
  PLAINTEXT_REFUSED: "link.plaintext-refused",
  TLS_FILES: "link.tls-files",
  KEY_MISSING: "link.key-missing",
  KEY_FILE: "link.key-file",
} as const satisfies Record<LinkError["code"], ServerEnd>;

export function endOf(error: unknown): ServerEnd {
  if (error instanceof SettingsError) return "settings";
  if (error instanceof ApplicationNotFound) return "application";
  if (error instanceof LinkError) return linkEnds[error.code];
  if (error instanceof HttpError) return error.code === "PORT_TAKEN" ? "http.port-taken" : "http.bad-address";
  if (error instanceof RecoveryError) return `recovery.${error.code}`;
  // A closed store is none of the world's faults.
  if (error instanceof StoreError && error.code !== "closed") return `store.${error.code}`;
  return error instanceof Error && error.cause !== undefined ? endOf(error.cause) : "error";
}
