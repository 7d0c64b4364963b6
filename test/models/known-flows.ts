/**
 * Flows of orders of which it is known what must come of them, as files: `requests.ndjson` (or `.ndjson.gz`), bodies for the exchange,
 * all of one symbol and in order; `expected-trades.csv`, in order, with the request's line; `expected-book.csv`, what rests at the
 * end; `expected-rejected.txt`, how many were refused. One flow is here and small; another, such as half an hour of a real market,
 * is taken from the folder that TWINLOG_ORDER_FLOW names.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { gunzipSync } from "node:zlib";
import { sourcePath } from "../helpers/kept-text.ts";

export interface KnownFlow {
  readonly name: string;
  readonly requestsFile: string;
  readonly bodies: readonly object[];
  /** Lines without their head; the book's in any order. */
  readonly trades: readonly string[];
  readonly book: readonly string[];
  readonly rejected: number;
}

export const ownFolder = sourcePath("models/order-flow");
export const tradesHead = "request,taker,maker,price,quantity";
export const bookHead = "order,side,price,remaining";

const otherFolder = process.env.TWINLOG_ORDER_FLOW;

/** What a test that has the project's own flow alone tells. */
export const notRun =
  otherFolder === undefined ? "not run with a flow from outside, because TWINLOG_ORDER_FLOW names no folder" : null;

export function knownFlows(): KnownFlow[] {
  const own = readFlow("the project's own", ownFolder);
  return otherFolder === undefined ? [own] : [own, readFlow("of TWINLOG_ORDER_FLOW", otherFolder)];
}

function readFlow(name: string, folder: string): KnownFlow {
  const plain = join(folder, "requests.ndjson");
  const requestsFile = existsSync(plain) ? plain : `${plain}.gz`;
  const bytes = readFileSync(requestsFile);
  const requests = requestsFile === plain ? bytes : gunzipSync(bytes);
  return {
    name,
    requestsFile,
    bodies: linesOf(requests.toString()).map((line) => JSON.parse(line)),
    trades: rowsOf(readFileSync(join(folder, "expected-trades.csv"), "utf8"), tradesHead),
    book: rowsOf(readFileSync(join(folder, "expected-book.csv"), "utf8"), bookHead),
    rejected: Number(readFileSync(join(folder, "expected-rejected.txt"), "utf8")),
  };
}

const linesOf = (text: string): string[] => text.trim().split(/\r?\n/);

/** The rows of a CSV that begins with this head. */
export function rowsOf(text: string, head: string): string[] {
  const [first, ...rows] = linesOf(text);
  if (first !== head) throw new Error(`begins with "${first}" instead of "${head}"`);
  return rows;
}
