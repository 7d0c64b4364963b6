/**
 * From a request to its records, and back from what a server before this one left of it (rules 12, 16, 17; claim 25). What
 * always holds: a record has the epoch of its making and the next sequence, and the table of requests sees it at once; the
 * first record of a request carries its body, so that another server can resume it.
 */
import { recordHeaderBytes, recordKinds, requestKey } from "../../codec/record.ts";
import { traceSpaceBytes } from "../../codec/traceparent.ts";
import type { Core } from "../core.ts";
import { type BegunRequest, type CompletedTransaction, RunningRequest } from "../log/requests.ts";

/** Its sequence. On the hot path: no object of its own but the record's fields. */
export function appendRecord(
  request: RunningRequest,
  kind: (typeof recordKinds)[keyof typeof recordKinds],
  ordinal: number,
  name: string,
  effects: Uint8Array,
  reply: string,
  body: string,
  { own, applied, membership }: Core,
): number {
  const { log } = own;
  const sequence = log.last + 1;
  const { requests } = applied;
  const isFinal = kind === recordKinds.final;
  const start = log.append({
    kind,
    ordinal,
    epoch: membership.epoch,
    sequence,
    resultNumber: isFinal ? requests.resultNumber + 1 : 0,
    stampMs: request.stampMs,
    takenMs: request.takenMs,
    traceparent: request.traceparent,
    forgottenThrough: requests.forgetThrough,
    bodyHash: request.bodyHash,
    client: request.client,
    id: request.id,
    key: request.key,
    name,
    effects,
    reply,
    body,
  });
  requests.observeOwn(log.arena, start, isFinal ? request : null);
  return sequence;
}

/** What a record of its attempt takes: its body as another server will read it. */
export function attemptBytes({ client, id, key, body, traceparent }: RunningRequest): number {
  const names = Buffer.byteLength(`${client}${id}${key}`);
  const trace = traceparent === "" ? 0 : traceSpaceBytes;
  return recordHeaderBytes + names + Buffer.byteLength(JSON.stringify(body)) + trace;
}

/** A request that an earlier server began (rule 16). `takenMs`: as its first record says; the present time where that does not. */
export function resumable(
  begun: BegunRequest,
  completed: readonly CompletedTransaction[],
  takenMs: number,
): RunningRequest {
  const body: unknown = JSON.parse(begun.body);
  const key = requestKey(begun.client, begun.id);
  const request = new RunningRequest(begun, key, "", begun.stampMs, takenMs, body, [], completed);
  request.resumed = true;
  request.ordinal = completed.length;
  return request;
}
