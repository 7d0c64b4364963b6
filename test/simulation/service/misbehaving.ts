/**
 * Handlers that do what no handler should (situation 35): throw, or do their work and then reject, never settle, or return
 * what the schema forbids. What always holds: a request's handler does the same on every server and at every attempt.
 */
import { crc32 } from "node:zlib";
import type { Application } from "../../../actors/application/define.ts";
import type { Moment } from "../judge/moments.ts";

const ways = [
  "handler threw",
  "handler rejected",
  "handler never settled",
  "handler returned what is forbidden",
] as const satisfies readonly Moment[];

/** `perThousand` of the requests are handled so. */
export function misbehave(
  application: Application,
  perThousand: number,
  count: (moment: Moment) => void,
): Application["handle"] {
  return (body, request) => {
    const hash = crc32(`${request.client} ${request.id}`);
    const way = ways[(hash >>> 16) % ways.length];
    if (hash % 1_000 >= perThousand || way === undefined) return application.handle(body, request);
    count(way);
    switch (way) {
      case "handler threw":
        throw new Error("a handler that throws");
      case "handler never settled":
        return afterwards(application.handle(body, request), () => new Promise(() => undefined));
      case "handler rejected":
        return afterwards(application.handle(body, request), () => {
          throw new Error("a handler that rejects");
        });
      case "handler returned what is forbidden":
        return afterwards(application.handle(body, request), () => ({ nobody: "asked for this" }));
    }
  };
}

async function afterwards(done: unknown, then: () => unknown): Promise<unknown> {
  await done;
  return then();
}
