/**
 * How commands log in: which of all that is said counts, and every way on a real broker. What is refused, forbidden or left open is
 * one line that names it, and shows no secret.
 */
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { nkeys } from "nats";
import { type AccessFlags, accessOf } from "../../deploy/commands/access.ts";
import { hasOpenssl, makeAuthority, signCertificate } from "../helpers/certificates.ts";
import { natsServer } from "../helpers/nats.ts";
import { TestOperator } from "../helpers/nats-operator.ts";
import { temporaryDirectory } from "../helpers/temporary-directory.ts";
import { makeRig } from "./rig.ts";

function write(folder: string, name: string, text: string, mode = 0o600): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

const context = (fields: object) => JSON.stringify({ description: "", password: "", inbox_prefix: "", ...fields });

/** Contexts where the `nats` tool has them. */
function contextsIn(folder: string, contexts: Readonly<Record<string, object>>, selected = ""): string {
  mkdirSync(join(folder, "nats", "context"), { recursive: true });
  for (const [name, fields] of Object.entries(contexts))
    write(join(folder, "nats", "context"), `${name}.json`, context(fields));
  if (selected !== "") write(join(folder, "nats"), "context.txt", selected);
  return folder;
}

const settings = (nats: object) =>
  JSON.stringify({
    service: "orders",
    server: "alpha",
    servers: [{ name: "alpha", port: 4223 }],
    dataDirectory: "data",
    registry: { bucket: "orders" },
    nats,
  });

test("the command line goes before the environment, that before the folder's file; an option before a context, a context before settings", async (t) => {
  const folder = await temporaryDirectory(t);
  const home = contextsIn(
    folder,
    {
      olga: {
        url: "nats://127.0.0.1:1,nats://127.0.0.1:2",
        creds: "/olga.creds",
        inbox_prefix: "_INBOX.operator.olga",
      },
      bare: { url: "nats://127.0.0.1:3" },
    },
    "bare",
  );
  const config = write(folder, "alpha.json", settings({ servers: ["nats://127.0.0.1:5"], nkeyFile: "alpha.nk" }));
  const nkeyFile = join(folder, "alpha.nk");
  const of = async (flags: AccessFlags, environment: Record<string, string> = {}) => {
    const serviceFile = { service: "filed", nats: "nats://127.0.0.1:9", application: "exchange" };
    const world = { environment: { XDG_CONFIG_HOME: home, ...environment }, serviceFile };
    const { nats, inboxPrefix } = await accessOf(world, flags);
    const { servers, ...logIn } = nats;
    return { at: servers.map((url) => url.split(":").at(-1)).join(), ...logIn, inboxPrefix };
  };
  const inboxPrefix = undefined;
  const olga = { at: "1,2", credsFile: "/olga.creds", inboxPrefix: "_INBOX.operator.olga" };
  t.deepEqual(await of({}), { at: "9", inboxPrefix });
  t.deepEqual(await of({ context: "olga" }), olga);
  t.deepEqual(await of({}, { TWINLOG_CONTEXT: "olga" }), olga);
  t.deepEqual(await of({ context: "-" }), { at: "3", inboxPrefix });
  t.deepEqual(await of({ context: join(home, "nats", "context", "bare.json") }), { at: "3", inboxPrefix });
  t.deepEqual(await of({ config }), { at: "5", nkeyFile, inboxPrefix });
  t.deepEqual(await of({ config, context: "olga" }), olga);
  t.deepEqual(await of({ config, context: "bare" }), { at: "3", nkeyFile, inboxPrefix });
  t.deepEqual(await of({ context: "olga", nats: "nats://127.0.0.1:4" }), { ...olga, at: "4" });
  const keyed = { at: "1,2", nkeyFile: "my.nk", inboxPrefix: olga.inboxPrefix };
  t.deepEqual(await of({ context: "olga", nkey: "my.nk" }), keyed);
  const around = { TWINLOG_NATS: "nats://127.0.0.1:7", TWINLOG_USER: "ada", TWINLOG_PASSWORD_FILE: "ada.password" };
  t.deepEqual(await of({}, around), { at: "7", user: "ada", passwordFile: "ada.password", inboxPrefix });
  t.deepEqual(await of({ creds: "my.creds" }, around), { at: "7", credsFile: "my.creds", inboxPrefix });
  t.deepEqual(await of({ context: "bare" }, around), { at: "3", inboxPrefix }, "a context is all that is asked");
  t.deepEqual(await of({ config }, around), { at: "5", nkeyFile, inboxPrefix }, "and so are settings");
  const both = { ...around, TWINLOG_CONTEXT: "olga" };
  t.deepEqual(
    await of({ creds: "my.creds" }, both),
    { at: "7", credsFile: "my.creds", inboxPrefix },
    "no other's inboxes",
  );
});

test("what cannot be understood is one line", async (t) => {
  const folder = await temporaryDirectory(t);
  const XDG_CONFIG_HOME = contextsIn(folder, {
    nsc: { nsc: "nsc://operator/account/user" },
    two: { user: "a", password: "s3cret", creds: "b" },
    half: { cert: "c.crt" },
  });
  write(join(folder, "nats", "context"), "damaged.json", "{");
  write(join(folder, "nats", "context"), "open.json", context({}), 0o622);
  const { run } = makeRig();
  for (const [words, says] of [
    [["--context", "none"], /there is no context none .*nats context ls/],
    [["--context", "../nsc"], /there is no context "\.\.\/nsc"/],
    [["--context", "-"], /no context is selected/],
    [["--context", "nsc"], /nsc\.json says nsc, which is not understood here/],
    [["--context", "two"], /two\.json: give one way to log in, not user and credsFile/],
    [["--context", "half"], /half\.json: cert and key belong together/],
    [["--context", "damaged"], /damaged\.json is not JSON/],
    [["--context", "open"], /others may write .*open\.json/],
    [["--creds", "a", "--nkey", "b"], /give one way to log in, .* \(--creds, --nkey\)/],
    [["--user", "a"], /a user needs a password .*\(--user\)/],
    [["--tlscert", "a"], /--tlscert and --tlskey belong together/],
    [["--config", join(folder, "none.json")], /cannot read .*none\.json/],
  ] as const) {
    const { status, err } = await run(["status", ...words], { environment: { XDG_CONFIG_HOME } });
    t.is(status, 1, words.join(" "));
    t.regex(err, says);
    t.is(err.trim().split("\n").length, 1, err);
    t.false(err.includes("s3cret"));
  }
});

test("settings that are named say the service and the registry's bucket too", async (t) => {
  const folder = await temporaryDirectory(t);
  const config = write(folder, "alpha.json", settings({ servers: ["nats://127.0.0.1:5"] }));
  const { run } = makeRig();
  const environment = { TWINLOG_SERVICE: "named" };
  const quick = ["status", "--wait", "10"];
  t.regex((await run([...quick, "--config", config], { environment })).err, /of orders speaks/);
  t.regex((await run([...quick, "--config", config, "--service", "chosen"])).err, /of chosen speaks/);
  t.regex((await run(quick, { environment: { ...environment, TWINLOG_CONFIG: config } })).err, /of named speaks/);
  t.regex((await run(["history", "--config", config, "--timeout", "50"])).err, /registry/);
});

test("every way to log in, on a real broker, and what is said where it is refused", async (t) => {
  const folder = await temporaryDirectory(t);
  const [pair, stranger] = [nkeys.createUser(), nkeys.createUser()];
  const users = [`{ nkey: ${pair.getPublicKey()} }`, "{ user: tw, password: s3cret }"];
  const { url } = await natsServer(t, { extraConfig: `authorization { users = [ ${users.join(", ")} ] }` });
  const seed = Buffer.from(pair.getSeed()).toString();
  const nkey = write(folder, "tw.nk", seed);
  const password = write(folder, "password", "s3cret\n");
  const wrong = write(folder, "wrong", "wr0ng\n");
  const other = write(folder, "other.nk", Buffer.from(stranger.getSeed()).toString());
  const XDG_CONFIG_HOME = contextsIn(folder, {
    tw: { url, user: "tw", password: "s3cret" },
    key: { url, nkey },
    refused: { url, user: "tw", password: "wr0ng" },
  });
  const { run } = makeRig();
  const said = async (...words: string[]) => {
    const environment = { XDG_CONFIG_HOME };
    const { err } = await run(["status", "--wait", "10", ...words], { environment, isReal: true });
    for (const secret of ["s3cret", "wr0ng", seed]) t.false(err.includes(secret), err);
    t.is(err.trim().split("\n").length, 1, err);
    return err;
  };
  const isIn = /no server of exchange speaks/;
  t.regex(await said("--context", "tw"), isIn);
  t.regex(await said("--context", "key"), isIn);
  t.regex(await said("--nats", url, "--nkey", nkey), isIn);
  t.regex(await said("--nats", url, "--user", "tw", "--password-file", password), isIn);
  t.regex(await said("--nats", url.replace("//", "//tw:s3cret@")), isIn);
  t.regex(await said("--nats", url), /the broker at \S+ wants a log-in: give --context, --creds/);
  t.regex(
    await said("--context", "refused"),
    /the broker at \S+ refused the log-in of tw \('Authorization Violation'\)/,
  );
  t.regex(await said("--nats", url, "--user", "tw", "--password-file", wrong), /refused the log-in of tw/);
  t.regex(await said("--nats", url, "--nkey", other), /refused the log-in with .*other\.nk/);
  t.regex(await said("--nats", url, "--nkey", "none.nk"), /cannot log in: none\.nk cannot be read \(ENOENT\)/);
  chmodSync(nkey, 0o644);
  const open = await run(["status", "--wait", "10", "--nats", url, "--nkey", nkey], { isReal: true });
  t.regex(
    open.err,
    /^twinlog: warning: others can read the secret in .*tw\.nk .*: chmod go-rwx .*\ntwinlog: no server/,
  );
});

test("a .creds file, on a broker in operator mode", async (t) => {
  const folder = await temporaryDirectory(t);
  const operator = new TestOperator();
  const { url } = await natsServer(t, { extraConfig: operator.config() });
  const creds = write(folder, "tw.creds", operator.creds("tw"));
  const { err } = await makeRig().run(["status", "--wait", "10", "--nats", url, "--creds", creds], { isReal: true });
  t.regex(err, /^twinlog: no server of exchange speaks/);
});

test("a certificate, and an authority that is not the system's", async (t) => {
  if (!hasOpenssl) return t.pass();
  const folder = await temporaryDirectory(t);
  makeAuthority(folder, "ca");
  const { certFile, keyFile, caFile } = signCertificate(folder, "ca", "broker", "IP:127.0.0.1");
  const tls = `tls { cert_file: "${certFile}", key_file: "${keyFile}", ca_file: "${caFile}", verify: true }`;
  const { url } = await natsServer(t, { extraConfig: tls });
  const { run } = makeRig();
  const own = ["--tlscert", certFile, "--tlskey", keyFile];
  const quick = ["status", "--wait", "10", "--nats", url];
  t.regex((await run([...quick, "--tlsca", caFile, ...own], { isReal: true })).err, /no server of exchange speaks/);
  t.regex((await run([...quick, "--tlsca", caFile], { isReal: true })).err, /cannot reach NATS/);
  return undefined;
});

test("beyond this machine no command speaks without TLS, unless it is allowed", async (t) => {
  const folder = await temporaryDirectory(t);
  const { run } = makeRig();
  const refused = /would leave this machine unencrypted: name it with tls:\/\/, give --tlsca, or --allow-plaintext/;
  const far = "nats://tw:s3cret@192.0.2.1:4222";
  const { status, err } = await run(["status", "--nats", far], { isReal: true });
  t.is(status, 1);
  t.regex(err, refused);
  t.false(err.includes("s3cret"));
  const config = write(folder, "far.json", settings({ servers: [far], allowPlaintext: true }));
  const world = { environment: {}, serviceFile: undefined };
  t.true((await accessOf(world, { config })).allowPlaintext);
  t.false((await accessOf(world, { config, nats: far })).allowPlaintext, "it is allowed to the settings' own brokers");
  t.true((await accessOf(world, { nats: far, allowPlaintext: true })).allowPlaintext);
  t.true((await accessOf({ ...world, environment: { TWINLOG_ALLOW_PLAINTEXT: "1" } }, { nats: far })).allowPlaintext);
});
