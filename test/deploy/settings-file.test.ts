/** Settings as people write them: where their paths lead, and what is said of what is no JSON, or of a module that does not load. */
import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import test, { type ExecutionContext } from "ava";
import { findApplication } from "../../deploy/applications.ts";
import { JsonFault, parseJson } from "../../deploy/json-text.ts";
import { readSettings } from "../../deploy/settings-file.ts";
import { temporaryDirectory } from "../helpers/temporary-directory.ts";

const settings = {
  service: "exchange",
  server: "alpha",
  servers: [{ name: "alpha", port: 4223 }],
  dataDirectory: "data/alpha",
};
const tls = { certFile: "tls/alpha.crt", keyFile: "/etc/alpha.key", caFile: "../ca.crt" };

async function written(t: ExecutionContext, name: string, content: string | Uint8Array): Promise<string> {
  const path = join(await temporaryDirectory(t), name);
  writeFileSync(path, content);
  return path;
}

test("dataDirectory and the files of TLS and of log-ins are relative to the settings file, wherever the program is started", async (t) => {
  const more = { nats: { tls }, mainLink: { tls } };
  const path = await written(t, "alpha.json", JSON.stringify({ ...settings, ...more }));
  const read = await readSettings(path);
  const here = (name: string) => resolve(path, "..", name);
  t.is(read.dataDirectory, here("data/alpha"));
  const resolved = { certFile: here("tls/alpha.crt"), keyFile: "/etc/alpha.key", caFile: here("../ca.crt") };
  t.deepEqual([read.nats.tls, read.mainLink.tls], [resolved, resolved]);
  for (const logIn of [{ credsFile: "a" }, { nkeyFile: "a" }, { tokenFile: "a" }, { user: "tw", passwordFile: "a" }]) {
    writeFileSync(path, JSON.stringify({ ...settings, nats: { ...logIn, tls: { caFile: "../ca.crt" } } }));
    const { nats } = await readSettings(path);
    const files = Object.entries(logIn).map(([name, file]) => [name, name === "user" ? file : here(file)]);
    t.like(nats, { ...Object.fromEntries(files), tls: { caFile: here("../ca.crt") } });
  }
});

test("HTTP needs a port of its own", async (t) => {
  const { port } = settings.servers[0] ?? { port: 0 };
  const path = await written(t, "alpha.json", JSON.stringify({ ...settings, http: { port } }));
  await t.throwsAsync(readSettings(path), { message: /http: port \d+ is that of this server's main link/ });
  writeFileSync(path, JSON.stringify({ ...settings, http: { port: port + 1 } }));
  t.deepEqual((await readSettings(path)).http, { host: "127.0.0.1", port: port + 1 });
});

test("a byte order mark before the settings is no fault", async (t) => {
  const path = await written(t, "alpha.json", `\ufeff${JSON.stringify(settings)}`);
  t.is((await readSettings(path)).server, "alpha");
});

test("what is no JSON is one line that says what and where", (t) => {
  const cases: [text: string | Uint8Array, says: RegExp][] = [
    ['{\n  "a": "x, }",\n  "b": 1,\n}', /^line 3: a comma before a closing bracket/],
    ['{"a": [1, 2, ], "b": 1}', /^line 1: a comma before a closing bracket/],
    ['{\n  // said\n  "a": "http://x"\n}', /^line 2: a comment/],
    ["{'a': 1}", /^line 1: a single quote/],
    ["", /^it is empty/],
    [Uint8Array.of(0xff, 0xfe, 0x7b, 0), /^it is UTF-16: save it as UTF-8/],
    ['{"a": 1', /JSON/],
  ];
  for (const [text, says] of cases) {
    const error = t.throws(() => parseJson(Buffer.from(text)), { instanceOf: JsonFault });
    t.regex(error.message, says);
    t.false(error.message.includes("\n"));
  }
});

test("a module of TypeScript is loaded as it stands", async (t) => {
  const path = fileURLToPath(new URL("../../../deploy/examples/counter/counter.ts", import.meta.url));
  t.is((await findApplication(path, "alpha.json")).name, "counter");
});

test("a module whose top-level await never ends, or that throws, is one plain line", async (t) => {
  const never = await written(t, "never.mjs", "await new Promise(() => {});");
  const late = await t.throwsAsync(findApplication(never, "alpha.json", 100));
  t.regex(late.message, /^cannot load the application .*never.mjs: it is not loaded after 0.1 s: what it awaits/);
  const broken = await written(t, "broken.mjs", 'throw new Error("one\\ntwo");');
  t.regex((await t.throwsAsync(findApplication(broken, "alpha.json"))).message, /broken.mjs: one$/);
});
