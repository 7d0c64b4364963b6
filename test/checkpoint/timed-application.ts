/** As `kept-application.ts`, for what has a date: timers that were set, cancelled and that have come. It stays as it is. */
import { z } from "zod";
import { type Application, defineApplication } from "../../actors/application/define.ts";

export const timedApplication = (): Application =>
  defineApplication({
    name: "timed",
    request: z.discriminatedUnion("kind", [
      z.strictObject({ kind: z.literal("remind"), name: z.string(), inMs: z.int() }),
      z.strictObject({ kind: z.literal("forget"), name: z.string() }),
      z.strictObject({ kind: z.literal("ring"), name: z.string(), dueMs: z.int() }),
    ]),
    result: z.strictObject({ done: z.boolean() }),
    key: ({ name }) => name,
    tables: { rings: z.object({ times: z.int(), dueMs: z.int(), atMs: z.int() }) },
    timers: { maxTimers: 10 },
    handle: (body, { nowMs, transaction }) =>
      transaction(body.kind, (tx) => {
        const { name } = body;
        if (body.kind === "forget") return { done: tx.cancel(name) };
        if (body.kind === "remind") {
          const dueMs = nowMs + body.inMs;
          tx.schedule(name, dueMs, { kind: "ring", name, dueMs });
        } else {
          const times = (tx.get("rings", name)?.times ?? 0) + 1;
          tx.put("rings", name, { times, dueMs: body.dueMs, atMs: nowMs });
        }
        return { done: true };
      }),
  }) as unknown as Application;
