/** A process of its own that loads an application and ends: 0, or 1 with why not on standard error. `up --watch` asks before it brings it in. */
import { resolve } from "node:path";
import process from "node:process";
import { messageOf } from "../../actors/application/errors.ts";
import { findApplication } from "../applications.ts";

try {
  await findApplication(process.argv[2] ?? "", resolve("settings.json"));
  process.exit(0);
} catch (error) {
  process.stderr.write(`${messageOf(error)}\n`);
  process.exit(1);
}
