/**
 * The two links between two servers. What always holds: each carries every kind of message, and may take smaller frames than the
 * other; what goes over which is decided by `machines/link.ts`.
 */

/** `main`: a TCP connection of their own; `failsafe`: over NATS. */
export type LinkName = "main" | "failsafe";
