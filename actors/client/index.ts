/**
 * What clients and integrators import, wherever they run: `actors/connect.ts` adds the way to NATS that Node has, `actors/connect-browser.ts` a browser's.
 */
export type { ApplicationDefinition, BodyOf, ResultOf } from "../application/contract.ts";
export type { Client, QueryOptions, RequestOptions } from "./client.ts";
export type { Connection } from "./connection.ts";
export type { Answer } from "./entry.ts";
export { FailedError, RefusedError, type Retry, UnansweredError, UnknownOutcomeError } from "./errors.ts";
export {
  ForgottenError,
  type HistoryEvent,
  NobodyAnswersError,
  type Position,
  positionAfter,
  type ResultEvent,
} from "./result-events.ts";
export type { ResultsReader } from "./results.ts";
