/**
 * Without TLS a server does not leave its machine to reach a broker, unless the operator allowed it.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { LinkError } from "../../actors/world/link-error.ts";
import { openRealWorld, openRegistry } from "../../actors/world/real-world.ts";
import { plaintextBrokerBeyondLoopback } from "../../actors/world/tcp-security.ts";
import { Settings } from "../../schemas/settings.ts";
import { keptLog } from "../helpers/kept-log.ts";
import { temporaryDirectory } from "../helpers/temporary-directory.ts";

async function settingsWith(t: ExecutionContext, nats: object): Promise<Settings> {
  const dataDirectory = join(await temporaryDirectory(t), "data");
  const servers = [{ name: "alpha", port: 4223 }];
  return Settings.parse({ service: "exchange", server: "alpha", servers, dataDirectory, nats });
}

const tls = { certFile: "a.crt", keyFile: "a.key", caFile: "ca.crt" };

for (const [brokers, open] of [
  [{ servers: ["nats://127.0.0.1:4222", "localhost", "nats://[::1]:4222", "nats://LOCALHOST"] }, null],
  [{ servers: ["nats://127.0.0.1:4222", "nats://192.0.2.1:4222"] }, "nats://192.0.2.1:4222"],
  [{ servers: ["broker.example:4222"] }, "broker.example:4222"],
  [{ servers: ["nats://127.evil.example"] }, "nats://127.evil.example"],
  [{ servers: ["nats://[2001:db8::1]:4222"] }, "nats://[2001:db8::1]:4222"],
  [{ servers: ["nats://alice:127.0.0.1@192.0.2.1"] }, "nats://192.0.2.1"],
  [{ servers: ["tls://192.0.2.1:4222", "TLS://192.0.2.2"] }, null],
  [{ servers: ["tls://192.0.2.1:4222", "nats://192.0.2.2"] }, "nats://192.0.2.2"],
  [{ servers: ["nats://192.0.2.1:4222"], tls }, null],
] as const)
  test(`plaintext to NATS beyond loopback: ${JSON.stringify(brokers)}`, (t) => {
    t.is(plaintextBrokerBeyondLoopback(brokers), open);
  });

test("plaintext to NATS beyond loopback: refused by a line that names address and setting, and nothing is begun", async (t) => {
  const settings = await settingsWith(t, { servers: ["nats://alice:s3cret@192.0.2.1:4222"] });
  for (const open of [openRealWorld, openRegistry]) {
    const error = await t.throwsAsync<LinkError>(open(settings), { instanceOf: LinkError });
    t.is(error?.code, "PLAINTEXT_REFUSED");
    t.regex(error?.message ?? "", /nats:\/\/192\.0\.2\.1:4222 .* nats\.tls, or nats\.allowPlaintext/);
    t.false(error?.message.includes("s3cret"));
  }
  t.false(existsSync(settings.dataDirectory));
});

test("plaintext to NATS beyond loopback: where it is allowed the log says so; with TLS, or at home, there is nothing to say", async (t) => {
  for (const [nats, lines] of [
    [{ servers: ["nats://192.0.2.1:4222"], allowPlaintext: true }, 1],
    [{ servers: ["nats://127.0.0.1:4222"], allowPlaintext: true }, 0],
    [{ servers: ["tls://192.0.2.1:4222"] }, 0],
  ] as const) {
    const log = keptLog();
    await openRealWorld(await settingsWith(t, nats), { log });
    t.is(log.lines.length, lines);
    if (lines > 0) t.regex(log.lines[0] ?? "", /unencrypted.*allowPlaintext.*nats:\/\/192\.0\.2\.1:4222/);
  }
});
