/**
 * The log of whoever asked for none.
 */
import type { Log } from "./ports.ts";

export const silence: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};
