/**
 * `twinlog/opentelemetry`: requests in the traces of those who ask. The trace context goes with the request, is in its records, and comes
 * to whichever server runs it: also the next one, when one died of it or beside it. What always holds: nothing of it changes what a
 * handler does or what a client gets; where no tracer is registered nothing is done.
 */
import {
  type Context,
  context,
  isSpanContextValid,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from "@opentelemetry/api";
import { readTraceparent } from "../schemas/traceparent.ts";
import type { ApplicationDefinition } from "./application/contract.ts";

/** Of the span that is active: for `connect({ …, traceparent: activeTraceparent })`. Undefined: none is. */
export function activeTraceparent(): string | undefined {
  const active = trace.getSpanContext(context.active());
  if (active === undefined || !isSpanContextValid(active)) return undefined;
  const flags = active.traceFlags.toString(16).padStart(2, "0");
  return `00-${active.traceId}-${active.spanId}-${flags}`;
}

/**
 * The same application, whose handler runs in a span of its own, `<name> handle`, under the client's. Attributes: `twinlog.client`,
 * `twinlog.request` (the id), `twinlog.resumed`, and `twinlog.timer` where it is a timer's. A handler that fails is told in it.
 * `tracer`: default the registered one's of the name `twinlog`.
 */
export function traced<A extends ApplicationDefinition>(
  application: A,
  tracer: Tracer = trace.getTracer("twinlog"),
): A {
  const name = `${application.name} handle`;
  const handle: ApplicationDefinition["handle"] = (request, asked) => {
    const { client, id, resumed, timer, traceparent } = asked;
    const attributes = {
      "twinlog.client": client,
      "twinlog.request": id,
      "twinlog.resumed": resumed,
      ...(timer === undefined ? {} : { "twinlog.timer": timer }),
    };
    const options = { kind: SpanKind.SERVER, attributes };
    return tracer.startActiveSpan(name, options, parentOf(traceparent), (span) =>
      within(span, () => application.handle(request, asked)),
    );
  };
  return Object.freeze({ ...application, handle });
}

/** What is active where the handler is called has nothing to do with its request. */
function parentOf(traceparent: string | undefined): Context {
  const [, traceId = "", spanId = "", flags = ""] = readTraceparent(traceparent).split("-");
  if (traceId === "") return ROOT_CONTEXT;
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId,
    spanId,
    traceFlags: Number.parseInt(flags, 16),
    isRemote: true,
  });
}

/** The span ends with what `run` gives, or with what that resolves to. */
function within<R>(span: Span, run: () => R | Promise<R>): R | Promise<R> {
  const fail = (error: unknown): never => {
    span.recordException(error instanceof Error ? error : String(error));
    span.setStatus({ code: SpanStatusCode.ERROR });
    span.end();
    throw error;
  };
  let given: R | Promise<R>;
  try {
    given = run();
  } catch (error) {
    return fail(error);
  }
  if (!(given instanceof Promise)) {
    span.end();
    return given;
  }
  return given.then((result) => {
    span.end();
    return result;
  }, fail);
}
