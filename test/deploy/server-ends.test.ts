/** Why a server does not start: each typed error has its code, and the one line that is left of it names its entry in the runbook. */
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";
import { HttpError } from "../../actors/world/http-error.ts";
import { LinkError } from "../../actors/world/link-error.ts";
import { StoreError } from "../../actors/world/ports.ts";
import { ApplicationNotFound } from "../../deploy/applications.ts";
import { endOf } from "../../deploy/server-ends.ts";
import { SettingsError } from "../../deploy/settings-file.ts";
import { RecoveryError } from "../../machines/checkpoint/scan.ts";
import { temporaryDirectory } from "../helpers/temporary-directory.ts";

const program = fileURLToPath(new URL("../../deploy/twinlog.js", import.meta.url));

test("each typed error has its code; what is of no type is told by what caused it, or is an error", (t) => {
  t.is(endOf(new SettingsError("x")), "settings");
  t.is(endOf(new ApplicationNotFound("x")), "application");
  t.is(endOf(new LinkError("PORT_TAKEN", "x")), "link.port-taken");
  t.is(endOf(new HttpError("PORT_TAKEN", "x")), "http.port-taken");
  t.is(endOf(new HttpError("BAD_ADDRESS", "x")), "http.bad-address");
  t.is(endOf(new RecoveryError("schema", "x")), "recovery.schema");
  t.is(endOf(new StoreError("unsafe", "x")), "store.unsafe");
  t.is(endOf(new StoreError("closed", "x")), "error", "a closed store is a mistake of ours");
  t.is(endOf(new Error("outside", { cause: new StoreError("full", "x") })), "store.full");
  t.is(endOf("nothing"), "error");
});

test("a server that does not start says in one line why, and where to look", async (t) => {
  const folder = await temporaryDirectory(t);
  const config = join(folder, "alpha.json");
  const settings = { service: "s", server: "alpha", servers: [{ name: "alpha", port: 4223 }], dataDirectory: "data" };
  const lastLine = async (changes: object) => {
    await writeFile(config, JSON.stringify({ ...settings, ...changes }));
    return await new Promise<string>((resolve) =>
      execFile(process.execPath, [program, "server", "--config", config], (_error, _out, err) => resolve(err)),
    );
  };
  t.regex(await lastLine({ server: "gamma" }), /^twinlog: .*not in the list; see deploy\/RUNBOOK\.md#end-settings\n$/);
  t.regex(
    await lastLine({ application: "none" }),
    /^twinlog: no application .*; see deploy\/RUNBOOK\.md#end-application\n$/,
  );
  const beyond = {
    servers: [{ name: "alpha", host: "192.0.2.1", port: 4223 }],
    nats: { servers: ["nats://192.0.2.1"] },
  };
  t.regex(await lastLine(beyond), /^twinlog: .*#end-link-plaintext-refused\n$/);
});
