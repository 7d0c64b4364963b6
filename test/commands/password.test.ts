/** `twinlog password`: what is typed, read or taken away, and where it is written; a console without log-in, or with half of TLS, says so. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { isPassword, readPasswords } from "../../deploy/console/passwords.ts";
import { temporaryDirectory } from "../helpers/temporary-directory.ts";
import { makeRig } from "./rig.ts";

const word = "correct horse battery";

test("a password is typed twice or read from standard input, written as a hash, and taken away again", async (t) => {
  const access = await temporaryDirectory(t);
  const file = join(access, "console-passwords.json");
  const serviceFile = { service: "exchange", nats: "nats://127.0.0.1:1", application: "exchange", access };
  const { run } = makeRig();
  const typed = await run(["password", "olga"], { serviceFile, secrets: [word, word] });
  t.deepEqual([typed.status, typed.out], [0, `olga has a password, in ${file}\n`]);
  const read = await run(["password", "ivan", "--file", file], { input: `${word}\n` });
  t.is(read.status, 0);
  const passwords = await readPasswords(file);
  t.true(await isPassword(word, passwords.olga));
  t.true(await isPassword(word, passwords.ivan));
  t.false(await isPassword(`${word}\n`, passwords.ivan));
  t.false(await isPassword(word, undefined));
  t.not(passwords.olga?.hash, passwords.ivan?.hash, "each has salt of its own");
  t.is(
    (await run(["password", "olga", "--remove"], { serviceFile })).out,
    `olga has no password any more, in ${file}\n`,
  );
  t.deepEqual(Object.keys(await readPasswords(file)), ["ivan"]);
  t.false(readFileSync(file, "utf8").includes("correct"));
});

test("what is no password, no name or no file is one line, and changes nothing", async (t) => {
  const file = join(await temporaryDirectory(t), "passwords.json");
  const { run } = makeRig();
  const says = async (words: string[], options = {}) => (await run(["password", ...words], options)).err;
  t.is(
    await says(["olga"], { input: word }),
    "twinlog: which file? Name it with --file, or come to the folder in which `twinlog up` runs\n",
  );
  t.is(await says(["olga", "--file", file], { input: "short" }), "twinlog: a password has at least 12 characters\n");
  t.regex(
    await says(["../olga", "--file", file], { input: word }),
    /^twinlog: "\.\.\/olga": give a name of up to 64 letters/,
  );
  t.is(
    await says(["olga", "--file", file], { secrets: [word, `${word}!`] }),
    "twinlog: these are not the same: nothing was changed\n",
  );
  t.is(await says(["olga", "--file", file, "--remove"]), `twinlog: there is no olga in ${file}\n`);
  t.deepEqual(await readPasswords(file), {});
});

test("a console beyond this machine without log-in or TLS, or with half of what belongs together, does not begin", async (t) => {
  const { run, connectedTo } = makeRig();
  const says = async (...words: string[]) => (await run(["console", "--port", "0", ...words])).err;
  const needs = /beyond this machine the console needs --login, --https-cert and --https-key\n$/;
  t.regex(await says("--listen", "0.0.0.0"), needs);
  t.regex(await says("--listen", "0.0.0.0", "--login", "none.json"), needs);
  t.regex(await says("--https-cert", "none.pem"), /--https-cert and --https-key belong together/);
  t.deepEqual(connectedTo, []);
  t.regex(await says("--operator-context", "olga"), /nobody acts here without --login/);
});
