/** The file with the servers' keys: what is a key, which one signs, and how one is replaced while everybody runs. */
import { chmodSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { LinkError } from "../../actors/world/link-error.ts";
import { PeerKeys } from "../../actors/world/peer-keys.ts";
import { TestClock } from "../helpers/hand-world.ts";
import { keptLog } from "../helpers/kept-log.ts";
import { temporaryDirectory } from "../helpers/temporary-directory.ts";
import { until } from "../helpers/until.ts";

const [first, second] = ["first-key-of-thirty-two-characters", "second-key-of-thirty-two-characters"] as const;
const said = [Buffer.from("who, to whom, "), Buffer.from("and what")];

async function setup(t: ExecutionContext) {
  const path = join(await temporaryDirectory(t), "peers.key");
  const clock = new TestClock();
  const log = keptLog();
  const write = (text: string, mode = 0o600) => {
    writeFileSync(path, text);
    chmodSync(path, mode);
  };
  return { path, clock, log, write, open: () => PeerKeys.open(path, clock, log) };
}

test("a proof holds for what it was given for, under the same key, and for nothing else", async (t) => {
  const { write, open } = await setup(t);
  write(`${first}\n`);
  const alpha = await open();
  const proof = alpha.sign(said);
  t.is(proof.length, 16);
  write(first);
  const beta = await open();
  t.true(beta.proves(proof, said));
  t.false(beta.proves(proof, [Buffer.from("what else")]));
  for (let at = 0; at < proof.length; at += 1) {
    const changed = Buffer.from(proof);
    changed[at] = (changed[at] ?? 0) ^ 1;
    t.false(beta.proves(changed, said), `byte ${at}`);
  }
  t.false(beta.proves(proof.subarray(1), said));
  t.false(beta.proves(Buffer.alloc(0), said));
  write(second);
  t.false((await open()).proves(proof, said));
});

test("a key is replaced in three steps, and at each one all believe all", async (t) => {
  const [alpha, beta] = [await setup(t), await setup(t)];
  for (const { write } of [alpha, beta]) write(first);
  const [ofAlpha, ofBeta] = [await alpha.open(), await beta.open()];
  /** The file is read again when its time is over, and not before. */
  const replace = async ({ write, clock }: typeof alpha, keys: PeerKeys, text: string) => {
    write(text);
    await clock.run(4_999);
    const before = keys.sign(said);
    await clock.run(1);
    t.deepEqual(keys.sign(said), before);
    return before;
  };
  const isSigned = (keys: PeerKeys, by: PeerKeys) =>
    until(() => by.proves(keys.sign(said), said), { withinMs: 20_000 });
  for (const text of [`${first}\n${second}\n`, `${second}\n${first}\n`, `${second}\n`])
    for (const [server, keys, other] of [
      [alpha, ofAlpha, ofBeta],
      [beta, ofBeta, ofAlpha],
    ] as const) {
      await replace(server, keys, text);
      await isSigned(keys, other);
      await isSigned(other, keys);
    }
  const { write, open } = await setup(t);
  write(second);
  await isSigned(ofAlpha, await open());
  write(first);
  t.false((await open()).proves(ofAlpha.sign(said), said), "the old one is worth nothing any more");
});

test("a file that cannot be read any more leaves the keys as they were, and is told without them", async (t) => {
  const { path, write, open, clock, log } = await setup(t);
  write(first);
  const keys = await open();
  const proof = keys.sign(said);
  for (const spoil of [() => rmSync(path), () => write("short"), () => write(second, 0o622)]) {
    spoil();
    await clock.run(60_000);
    const lines = log.lines.length;
    keys.refresh();
    await until(() => log.lines.length > lines, { withinMs: 20_000, waitedFor: "the log to say so" });
    t.true(keys.proves(proof, said));
  }
  t.true(log.lines.every((line) => line.includes("the keys stay as they were") && line.includes(path)));
  t.false(log.lines.some((line) => line.includes('short"') || line.includes(first) || line.includes(second)));
});

test("what is no key is refused in words", async (t) => {
  const { path, write, open } = await setup(t);
  for (const [text, says, mode] of [
    ["", /is empty; make a key with: openssl rand -base64 32/],
    [`${first}\n${second}\n${first}\n`, /has 3 lines; at most 2 keys/],
    ["x".repeat(31), /32 to 512 printable characters/],
    ["x".repeat(513), /32 to 512 printable characters/],
    ["a key of thirty-two characters with spaces", /without spaces/],
    [first, /others may write .*: chmod go-w/, 0o620],
  ] as const) {
    write(text, mode);
    const error = await t.throwsAsync(open(), { instanceOf: LinkError, message: says });
    t.is((error as LinkError).code, "KEY_FILE");
    t.true(error?.message.startsWith("peers.keyFile: "));
    if (text !== "") t.false(error?.message.includes(text.slice(0, 20)), "no key is shown");
  }
  for (const length of [32, 512]) {
    write("x".repeat(length));
    await t.notThrowsAsync(open(), `${length} characters are a key`);
  }
  rmSync(path);
  await t.throwsAsync(open(), { message: /cannot be read \(ENOENT\)/ });
});
