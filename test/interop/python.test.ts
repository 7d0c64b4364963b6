/**
 * The client in Python: NATS's text protocol over a bare socket.
 */
import test from "ava";
import { runCommand } from "../../deploy/nats/command.ts";
import { clientsFolder } from "./example-client.ts";
import { byPassword, testClient } from "./prove-client.ts";

testClient(
  test,
  "python",
  async () => {
    const { status, stdout } = await runCommand("python3", ["-c", "import sys; print(sys.version_info >= (3, 9))"], {
      timeoutMs: 30_000,
    });
    if (status !== 0) return { why: "there is no python3" };
    if (stdout.trim() !== "True") return { why: "python3 is older than 3.9" };
    return { command: "python3", args: ["-B", `${clientsFolder}count.py`] };
  },
  byPassword,
);
