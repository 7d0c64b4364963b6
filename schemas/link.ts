/** The two links between two servers. What always holds: each is enough by itself; what goes over which is decided by `link.ts`. */

/** `main`: a TCP connection of their own; `failsafe`: over NATS. */
export type LinkName = "main" | "failsafe";
