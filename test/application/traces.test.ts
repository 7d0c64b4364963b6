/**
 * Traces: the context that a client sends comes to the handler, to the next server's handler where the first one died, and to the result;
 * and `twinlog/opentelemetry` makes spans of it.
 */
import { type Context, context, type Span as OpenSpan, SpanStatusCode, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base";
import test from "ava";
import { z } from "zod";
import { defineApplication } from "../../actors/application/define.ts";
import { activeTraceparent, traced } from "../../actors/opentelemetry.ts";
import { testApplication } from "../../actors/testing/index.ts";

const known = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

const exported = new InMemorySpanExporter();
const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exported)] });
trace.setGlobalTracerProvider(provider);
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
const tracer = provider.getTracer("test");

/** Each request tells how it was traced: in `tries` transactions, with `within` called between them. */
function steps(within: (step: { readonly resumed: boolean; readonly traceparent: string | undefined }) => void) {
  return defineApplication({
    name: "steps",
    request: z.strictObject({ fails: z.boolean().optional() }),
    result: z.object({ traceparent: z.string().optional() }),
    key: () => "",
    tables: { steps: z.object({ n: z.int() }) },
    handle: async ({ fails }, { transaction, committed, resumed, traceparent, id }) => {
      transaction("first", (tx) => tx.put("steps", id, { n: 1 }));
      await committed();
      within({ resumed, traceparent });
      if (fails === true) throw new Error("it fails");
      transaction("second", (tx) => tx.put("steps", id, { n: 2 }));
      return traceparent === undefined ? {} : { traceparent };
    },
  });
}

test("the handler is told the client's trace context, and none where there is none or what came is not one", async (t) => {
  const app = testApplication(steps(() => undefined));
  t.deepEqual((await app.request({}, { traceparent: known })).result, { traceparent: known });
  t.deepEqual((await app.request({})).result, {});
  t.deepEqual((await app.request({}, { traceparent: "00-nonsense\r\nX: y" })).result, {});
  app.close();
});

test("the next server is told it too, from the record, where the first one died", async (t) => {
  const told: unknown[] = [];
  const app = testApplication(
    steps((step) => {
      told.push(step);
      if (told.length === 1) app.crash();
    }),
  );
  const { result } = await app.request({}, { traceparent: known });
  t.deepEqual(result, { traceparent: known });
  t.deepEqual(told, [
    { resumed: false, traceparent: known },
    { resumed: true, traceparent: known },
  ]);
  app.close();
});

/** What was exported under this span, and is itself. */
const spansUnder = (span: OpenSpan) =>
  exported.getFinishedSpans().filter((one) => one.spanContext().traceId === span.spanContext().traceId);

test("a traced handler has a span under its client's, on each server that ran it; its own spans are under that", async (t) => {
  let runs = 0;
  const app = testApplication(
    traced(
      steps(() => {
        runs += 1;
        tracer.startSpan("inner").end();
        if (runs === 1) app.crash();
      }),
    ),
  );
  await tracer.startActiveSpan("client", async (span) => {
    const traceparent = activeTraceparent();
    t.is(traceparent, `00-${span.spanContext().traceId}-${span.spanContext().spanId}-01`);
    await app.request({}, { id: "7", traceparent: traceparent ?? "" });
    span.end();
    const spans = spansUnder(span);
    const handled = spans.filter(({ name }) => name === "steps handle");
    const attributesOf = (resumed: boolean) => ({
      "twinlog.client": "test",
      "twinlog.request": "7",
      "twinlog.resumed": resumed,
    });
    // The first server's handler goes on after its death, which only a test's can, and may change nothing.
    t.deepEqual(
      handled.map(({ attributes, status }) => [attributes, status.code]),
      [
        [attributesOf(false), SpanStatusCode.ERROR],
        [attributesOf(true), SpanStatusCode.UNSET],
      ],
    );
    const parents = (of: typeof spans) => of.map(({ parentSpanContext }) => parentSpanContext?.spanId);
    t.deepEqual(parents(handled), [span.spanContext().spanId, span.spanContext().spanId]);
    const inner = spans.filter(({ name }) => name === "inner");
    t.deepEqual(
      parents(inner),
      handled.map((one) => one.spanContext().spanId),
    );
  });
  app.close();
});

test("a handler that fails is told in its span; one without a client's trace begins its own", async (t) => {
  const app = testApplication(traced(steps(() => undefined)));
  await t.throwsAsync(app.request({ fails: true }, { id: "bad" }));
  const span = exported.getFinishedSpans().find(({ attributes }) => attributes["twinlog.request"] === "bad");
  t.is(span?.status.code, SpanStatusCode.ERROR);
  t.is(span?.events[0]?.attributes?.["exception.message"], "it fails");
  t.is(span?.parentSpanContext, undefined);
  app.close();
});

test("a synchronous handler's span ends with it, and what it throws is thrown", (t) => {
  const plain = (handle: () => { n: number }) =>
    traced(
      defineApplication({
        name: "plain",
        request: z.strictObject({}),
        result: z.object({ n: z.int() }),
        key: () => "",
        handle,
      }),
    );
  const asked = { client: "alice", id: "1", resumed: false, timer: "t", traceparent: known } as never;
  t.deepEqual(plain(() => ({ n: 1 })).handle({}, asked), { n: 1 });
  const thrown = plain(() => {
    throw new Error("no");
  });
  t.throws(() => thrown.handle({}, asked), { message: "no" });
  const spans = exported.getFinishedSpans().filter(({ name }) => name === "plain handle");
  t.deepEqual(
    spans.map(({ attributes, status }) => [attributes["twinlog.timer"], status.code]),
    [
      ["t", SpanStatusCode.UNSET],
      ["t", SpanStatusCode.ERROR],
    ],
  );
  t.deepEqual(
    spans.map(({ parentSpanContext }) => parentSpanContext?.traceId),
    [known.slice(3, 35), known.slice(3, 35)],
  );
});

test("where no span is active there is no trace context", (t) => {
  t.is(
    context.with(trace.deleteSpan(context.active() satisfies Context), () => activeTraceparent()),
    undefined,
  );
});
