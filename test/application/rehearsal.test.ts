/** The rehearsal of a takeover: all the way to a reply, for whatever a server may be set to, and nothing comes of it. */
import test from "ava";
import { z } from "zod";
import { defineApplication } from "../../actors/application/define.ts";
import { exchange } from "../../actors/applications/exchange/exchange.ts";
import { ledger } from "../../actors/applications/ledger/ledger.ts";
import { rehearse } from "../../actors/rehearsal.ts";
import { Settings } from "../../schemas/settings.ts";
import { HandClock } from "../helpers/hot-and-warm.ts";

function settingsOf(confirm: Settings["confirm"], names: readonly string[]): Settings {
  const servers = names.map((name, at) => ({ name, port: 4_001 + at }));
  return Settings.parse({ service: "stage", server: names[0], servers, dataDirectory: "nowhere", confirm });
}

test("an application's schemas parse then, each object in them: it is not done for the first time while clients wait", (t) => {
  const parsed: string[] = [];
  const seen = (name: string) =>
    z.strictObject({}).refine(() => {
      parsed.push(name);
      return true;
    });
  const application = defineApplication({
    name: "seen",
    request: z.strictObject({ inner: seen("request") }),
    result: z.strictObject({ inner: seen("result") }),
    tables: { rows: z.strictObject({ inner: seen("row") }) },
    queues: {},
    key: () => "",
    handle: () => ({ inner: {} }),
  });
  rehearse(application, settingsOf("memory", ["alpha"]), new HandClock());
  t.deepEqual([...new Set(parsed)].sort(), ["request", "result", "row"]);
});

test("it goes all the way: two requests get replies, in each confirm level and with one, two and three servers", (t) => {
  for (const confirm of ["memory", "written", "synced"] as const)
    for (const names of [["alpha"], ["alpha", "beta"], ["alpha", "beta", "gamma"]])
      for (const application of [exchange, ledger]) {
        const replies = rehearse(application, settingsOf(confirm, names), new HandClock());
        t.deepEqual(
          replies.map((reply) => (JSON.parse(reply) as { id: string; ok: boolean }).id),
          ["1", "2"],
        );
      }
});
