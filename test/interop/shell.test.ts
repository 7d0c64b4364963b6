/**
 * The client in the shell: NATS's text protocol over bash's own sockets.
 */
import test from "ava";
import { runCommand } from "../../deploy/nats/command.ts";
import { clientsFolder } from "./example-client.ts";
import { byPassword, testClient } from "./prove-client.ts";

testClient(
  test,
  "shell",
  async () => {
    const { status } = await runCommand("bash", ["-c", "((BASH_VERSINFO[0] >= 5))"], { timeoutMs: 30_000 });
    if (status !== 0) return { why: "there is no bash of version 5 or newer" };
    return { command: "bash", args: [`${clientsFolder}count.sh`] };
  },
  byPassword,
);
