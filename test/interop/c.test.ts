/**
 * The client in C, by NATS's own library for it.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { nkeys } from "nats";
import { makeTemporaryDirectory } from "../helpers/temporary-directory.ts";
import { buildCClient } from "./build-c-client.ts";
import type { ClientProgram } from "./example-client.ts";
import { testClient } from "./prove-client.ts";

let directory: Awaited<ReturnType<typeof makeTemporaryDirectory>>;
let built: ClientProgram | { why: string };
const key = nkeys.createUser();
const seedName = "alice.nk";

test.before("build it", async () => {
  directory = await makeTemporaryDirectory();
  writeFileSync(join(directory.path, seedName), key.getSeed(), { mode: 0o600 });
  built = await buildCClient(directory.path);
});

test.after.always("remove it", () => directory.remove());

testClient(test, "C", async () => built, {
  logIn: `nkey: ${key.getPublicKey()}`,
  userInfo: "",
  environment: () => ({ NATS_NKEY: key.getPublicKey(), NATS_NKEY_FILE: join(directory.path, seedName) }),
});
