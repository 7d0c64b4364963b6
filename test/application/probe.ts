/** An application whose handler is the test's, and short words for what comes out of it. */
import { z } from "zod";
import type { RequestContext, Transaction } from "../../actors/application/contract.ts";
import { defineApplication } from "../../actors/application/define.ts";
import { Harness } from "../helpers/hot-and-warm.ts";

const tables = { rows: z.unknown(), numbers: z.int() };
const queues = {
  log: { item: z.string(), maxItems: 3, whenFull: "dropOldest" as const },
  jobs: { item: z.int(), maxItems: 2, whenFull: "refuse" as const },
};
type Nothing = Readonly<Record<never, never>>;
export type Context = RequestContext<typeof tables, typeof queues, Nothing>;
export type Tx = Transaction<typeof tables, typeof queues, Nothing>;

/** An application whose handler is the test's. */
export const withHandler = (
  handle: (context: Context, body: { n: number; text?: string | undefined }) => unknown,
  limits: { handlerMs?: number; maxRecordBytes?: number } = {},
) =>
  new Harness(
    defineApplication({
      name: "probe",
      request: z.strictObject({ n: z.int(), text: z.string().optional() }),
      result: z.strictObject({ value: z.unknown() }),
      key: () => "key",
      tables,
      queues,
      handle: (body, context) => handle(context, body) as { value: unknown },
    }),
    limits,
  );

export const put = (tx: Tx, key: string, value: number) => tx.put("numbers", key, value);
export const failed = (message: unknown) => ({
  ok: false,
  error: { code: "APPLICATION_ERROR", message, executed: true },
});
export const done = (value: unknown) => ({ ok: true, result: { value } });
export const records = (harness: Harness) => harness.sent.map((one) => `${one.kind} ${one.ordinal} ${one.name}`);
export const numbers = (harness: Harness) => Object.fromEntries(harness.hot.table("numbers").rows);
