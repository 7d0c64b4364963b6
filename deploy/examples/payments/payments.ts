/**
 * An application that charges cards: each payment is an HTTP call to somebody else's service, in the middle of which a server may die.
 * What always holds: under which key that service is asked is on record, and can no longer be lost, before it is asked; whoever goes
 * on asks under the same key, and a service that takes such keys charges once for each.
 */
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { defineApplication } from "twinlog";
import { z } from "zod";

/** One try. All of them together have the handler's time, `handlerMs` (5 s): then `signal` is aborted. */
const tryMs = 1_000;
const betweenMs = 100;

const Payment = z.object({
  key: z.string(),
  card: z.string(), // a token of the card service's, not the card's number: what is here is mirrored and stored
  cents: z.int().min(1),
  status: z.enum(["asked", "charged", "declined"]),
  charge: z.string().nullable(), // the card service's name for it
});
type Payment = z.infer<typeof Payment>;

const Charge = z.object({ status: z.enum(["charged", "declined"]), charge: z.string().nullable() });

export const payments = defineApplication({
  name: "payments",
  request: z.strictObject({ order: z.string().min(1).max(64), card: z.string().max(64), cents: z.int().min(1) }),
  result: z.object({ status: z.enum(["charged", "declined", "another"]), charge: z.string().nullable() }),
  key: ({ order }) => order,
  tables: { payments: Payment },
  handle: async ({ order, card, cents }, { transaction, committed, signal }) => {
    // Not run again when it is resumed: its value, and in it the key, is the one that is on record.
    const payment = transaction("ask", (tx): Payment => {
      const known = tx.get("payments", order);
      if (known !== undefined) return known;
      const asked: Payment = { key: randomUUID(), card, cents, status: "asked", charge: null };
      tx.put("payments", order, asked);
      return asked;
    });
    if (payment.card !== card || payment.cents !== cents) return { status: "another" as const, charge: null };
    // Charged already; or asked by a request that was not answered in time: this one goes on, under the same key.
    if (payment.status !== "asked") return { status: payment.status, charge: payment.charge };
    await committed();
    const answer = await chargeCard(payment, signal);
    transaction("answer", (tx) => tx.put("payments", order, { ...payment, ...answer }));
    return answer;
  },
  queries: {
    payment: {
      body: z.strictObject({ order: z.string() }),
      result: Payment.omit({ card: true }).nullable(),
      answer: ({ order }, state) => state.get("payments", order) ?? null,
    },
  },
});

/** Asks until it is answered: where nothing came back it is not known whether the card is charged, and asking again does no harm. */
async function chargeCard({ key, card, cents }: Payment, signal: AbortSignal): Promise<z.infer<typeof Charge>> {
  for (;;) {
    const response = await fetch(process.env.CARD_URL ?? "http://127.0.0.1:8700/", {
      method: "POST",
      headers: { "content-type": "application/json", "idempotency-key": key },
      body: JSON.stringify({ card, cents }),
      signal: AbortSignal.any([signal, AbortSignal.timeout(tryMs)]),
    }).catch(() => null);
    if (response?.ok === true) return Charge.parse(await response.json());
    // It was understood, and will be answered so again.
    if (response !== null && response.status < 500) throw new Error(`the card service answers ${response.status}`);
    // Rejects when the handler's time is up, or its server is no longer the primary.
    await delay(betweenMs, undefined, { signal });
  }
}
