/**
 * `twinlog`: what users of Twinlog import. `defineApplication` for authors, `connect` for clients and integrators;
 * everything else is how the servers are built.
 */
export type * from "./application/contract.ts";
export { defineApplication } from "./application/define.ts";
export { TransactionError, type TransactionErrorCode } from "./application/errors.ts";
export * from "./connect.ts";
