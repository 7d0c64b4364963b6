/**
 * Every way to log in, on a real broker: with what the file says at the dial, so that credentials are replaced without a restart.
 * What cannot be read is a refused dial whose reason names the file; no secret is in any reason.
 */
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { nkeys } from "nats";
import { connect } from "../../actors/index.ts";
import { NatsLine } from "../../actors/world/connection-nats.ts";
import type { NatsAccess } from "../../actors/world/log-in-nats.ts";
import { openSecrets } from "../../actors/world/log-in-nats.ts";
import { Settings } from "../../schemas/settings.ts";
import { realRig } from "../conformance/rig.ts";
import { hasOpenssl, makeAuthority, signCertificate } from "../helpers/certificates.ts";
import { keptLog } from "../helpers/kept-log.ts";
import { natsServer, type TestNats } from "../helpers/nats.ts";
import { TestOperator } from "../helpers/nats-operator.ts";
import { temporaryDirectory } from "../helpers/temporary-directory.ts";

// Each test has a nats-server of its own.
process.setMaxListeners(100);

const { clock, until } = realRig();

/** A line that dials; `reasons` are those of its dials that failed, each once. */
async function open(t: ExecutionContext, nats: TestNats, access: Omit<NatsAccess, "servers">, url = nats.url) {
  const line = new NatsLine({
    nats: { servers: [url], ...access },
    name: "test",
    inboxPrefix: "_INBOX",
    clock,
    log: keptLog(),
  });
  const reasons = new Set<string>();
  line.onFault(({ kind, reason }) => kind === "lost" && reasons.add(reason));
  line.acquire();
  t.teardown(() => line.release());
  await line.ready();
  return { line, reasons, isUp: () => line.connected() };
}

function write(directory: string, name: string, text: string, mode = 0o600): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

const asUsers = (...users: string[]) => `authorization { users = [ ${users.join(", ")} ] }`;

test("user and password, the password from a file too", async (t) => {
  const directory = await temporaryDirectory(t);
  const nats = await natsServer(t, { extraConfig: asUsers("{ user: tw, password: s3cret }") });
  const passwordFile = write(directory, "password", "s3cret\n");
  t.true((await open(t, nats, { user: "tw", password: "s3cret" })).isUp());
  t.true((await open(t, nats, { user: "tw", passwordFile })).isUp());
  const inUrl = nats.url.replace("//", "//tw:s3cret@");
  t.true((await open(t, nats, {}, inUrl)).isUp());
  t.true((await open(t, nats, { user: "tw", passwordFile: "no-such-file" }, inUrl)).isUp(), "the address goes before");
  const wrong = await open(t, nats, { user: "tw", password: "wr0ng" });
  t.false(wrong.isUp());
  t.regex([...wrong.reasons].join(), /Authorization Violation/);
  t.false([...wrong.reasons].join().includes("wr0ng"));
});

test("a token, from a file too", async (t) => {
  const directory = await temporaryDirectory(t);
  const nats = await natsServer(t, { extraConfig: "authorization { token: t0ken }" });
  t.true((await open(t, nats, { token: "t0ken" })).isUp());
  t.true((await open(t, nats, { tokenFile: write(directory, "token", "t0ken\r\n") })).isUp());
});

test("an nkey, and another one in the same file once the broker takes that", async (t) => {
  const directory = await temporaryDirectory(t);
  const [first, second] = [nkeys.createUser(), nkeys.createUser()];
  const configOf = (pair: typeof first) => asUsers(`{ nkey: ${pair.getPublicKey()} }`);
  const seedOf = (pair: typeof first) => Buffer.from(pair.getSeed()).toString();
  const nats = await natsServer(t, { extraConfig: configOf(first) });
  const nkeyFile = write(directory, "alpha.nk", seedOf(first));
  const { isUp, reasons } = await open(t, nats, { nkeyFile });
  t.true(isUp());
  nats.reload(configOf(second));
  await until(() => [...reasons].some((reason) => /Authorization Violation/.test(reason)), "the old one is refused");
  write(directory, "alpha.nk", `# of alpha\n${seedOf(second)}\n`);
  await until(isUp, "the new one is taken");
});

test("a .creds file: a JWT that ends is replaced by what the file says then", async (t) => {
  const directory = await temporaryDirectory(t);
  const operator = new TestOperator();
  const nats = await natsServer(t, { extraConfig: operator.config() });
  // Long enough for a slow machine to log in, and no longer.
  const credsFile = write(directory, "alpha.creds", operator.creds("first", 5));
  const { isUp, reasons, line } = await open(t, nats, { credsFile });
  t.true(isUp());
  let dials = 0;
  line.onState((connected) => {
    if (connected) dials += 1;
  });
  write(directory, "alpha.creds", operator.creds("second").replaceAll("\n", "\r\n").trimEnd());
  await until(() => dials === 1, "it is connected again");
  t.regex([...reasons].join(), /expired/i);
  t.is(reasons.size, 1, "and was not refused meanwhile");
});

test("a certificate alone logs in where the broker maps it to a user", async (t) => {
  if (!hasOpenssl) {
    t.log("openssl is missing: nothing was tried");
    t.pass();
    return;
  }
  const directory = await temporaryDirectory(t);
  makeAuthority(directory, "authority");
  makeAuthority(directory, "other");
  const broker = signCertificate(directory, "authority", "broker", "IP:127.0.0.1");
  const tls = signCertificate(directory, "authority", "tw", "email:tw@example.com");
  const { certFile, keyFile, caFile } = broker;
  const verified = `tls { cert_file: "${certFile}", key_file: "${keyFile}", ca_file: "${caFile}", verify_and_map: true }`;
  const nats = await natsServer(t, { extraConfig: `${verified}\n${asUsers("{ user: tw@example.com }")}` });
  const mapped = await open(t, nats, { tls });
  t.true(mapped.isUp(), [...mapped.reasons].join());
  const bare = await open(t, nats, { tls: { caFile } });
  t.false(bare.isUp());
  // What `nats.refused` knows it by. A broker that closes may do so before its alert is read: then the next dial tells.
  await until(() => /alert .*certificate/.test([...bare.reasons].join()), "the broker's alert is heard");
  const stranger = await open(t, nats, { tls: { ...tls, caFile: join(directory, "other.crt") } });
  t.false(stranger.isUp());
  const missing = await open(t, nats, { tls: { ...tls, certFile: join(directory, "no-such.crt") } });
  t.regex([...missing.reasons].join(), /cannot log in: .*no-such\.crt cannot be read \(ENOENT\)/);
});

test("what is in no file, or in one that others may write, is a refused dial that says why, and dialling goes on", async (t) => {
  const directory = await temporaryDirectory(t);
  const nats = await natsServer(t, { extraConfig: asUsers("{ user: tw, password: s3cret }") });
  const creds = new TestOperator().creds("tw");
  const seed = /^SU.*$/m.exec(creds)?.[0] ?? "";
  mkdirSync(join(directory, "folder"));
  const cases: [access: Omit<NatsAccess, "servers">, says: RegExp][] = [
    [{ credsFile: join(directory, "none") }, /none cannot be read \(ENOENT\)/],
    [{ credsFile: join(directory, "folder") }, /folder is no file/],
    [{ credsFile: write(directory, "seed", seed) }, /seed holds no user's JWT/],
    [{ credsFile: write(directory, "jwt", creds.replace(seed, "")) }, /jwt holds no user's nkey seed/],
    [{ nkeyFile: write(directory, "account", seed.replace("SU", "SA")) }, /account holds no user's nkey seed/],
    [
      { nkeyFile: write(directory, "damaged", seed.replace(/.{4}$/, "AAAA")) },
      /damaged holds an nkey seed that is dam/,
    ],
    [{ nkeyFile: write(directory, "open", seed, 0o622) }, /others may write .*open \(mode 0622\): chmod go-w/],
    [{ tokenFile: write(directory, "empty", "\n") }, /empty is empty/],
    [{ user: "tw", passwordFile: write(directory, "two", "s3cret\nmore") }, /two has more than one line/],
    [{ tokenFile: write(directory, "large", "x".repeat(1_100_000)) }, /large is too large/],
  ];
  for (const [access, says] of cases) {
    const { line, isUp } = await open(t, nats, access);
    t.false(isUp());
    t.regex(line.lastReason, says);
    t.regex(line.lastReason, /^nats:\/\/127\.0\.0\.1:\d+: cannot log in: /);
    t.false(line.lastReason.includes(seed));
    t.false(line.lastReason.includes("s3cret"));
  }
  const passwordFile = join(directory, "later");
  const { isUp } = await open(t, nats, { user: "tw", passwordFile });
  t.false(isUp());
  write(directory, "later", "s3cret");
  await until(isUp, "it is found");
});

test("a secret that others can read is told, one that root gave our group is not", async (t) => {
  const directory = await temporaryDirectory(t);
  const credsFile = write(directory, "creds", "x", 0o640);
  const keyFile = write(directory, "key", "x", 0o604);
  const lines = await openSecrets({ servers: [], credsFile, tls: { keyFile, certFile: keyFile } });
  t.deepEqual(lines, [
    `others can read the secret in ${credsFile} (mode 0640): chmod go-rwx ${credsFile}`,
    `others can read the secret in ${keyFile} (mode 0604): chmod go-rwx ${keyFile}`,
  ]);
  t.deepEqual(await openSecrets({ servers: [], nkeyFile: write(directory, "nk", "x"), tokenFile: "none" }), []);
});

test("settings and clients give one way to log in, or are told so", async (t) => {
  const common = { service: "s", server: "alpha", servers: [{ name: "alpha", port: 4223 }], dataDirectory: "d" };
  const cases: [nats: object, says: string][] = [
    [{ credsFile: "a", nkeyFile: "b" }, "give one way to log in, not credsFile and nkeyFile"],
    [{ user: "a", token: "b" }, "give one way to log in, not user and token"],
    [{ passwordFile: "a", credsFile: "b" }, "give one way to log in, not passwordFile and credsFile"],
    [{ user: "a", password: "b", passwordFile: "c" }, "give password or passwordFile, not both"],
    [{ token: "a", tokenFile: "b" }, "give token or tokenFile, not both"],
    [{ password: "a" }, "a password needs a user"],
    [{ user: "a" }, "a user needs a password or a passwordFile"],
  ];
  for (const [nats, says] of cases) {
    const checked = Settings.safeParse({ ...common, nats });
    t.deepEqual(
      checked.error?.issues.map(({ message, path }) => `${path.join(".")}: ${message}`),
      [`nats: ${says}`],
    );
    const access = { servers: ["nats://127.0.0.1:1"], ...nats };
    await t.throwsAsync(connect({ nats: access, service: "s", client: "c" }), { message: `nats: ${says}` });
  }
  for (const nats of [{ credsFile: "a", tls: {} }, { user: "a", passwordFile: "b" }, { tokenFile: "a" }])
    t.true(Settings.safeParse({ ...common, nats }).success);
  t.false(Settings.safeParse({ ...common, nats: { tls: { certFile: "a" } } }).success, "a certificate needs its key");
});
