/**
 * The examples under deploy/examples are settings that a server takes, and fit together.
 */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import test from "ava";
import { refusePlaintextBrokers } from "../../actors/world/tcp-security.ts";
import { Settings } from "../../schemas/settings.ts";

const folder = fileURLToPath(new URL("../../../deploy/examples/", import.meta.url));
const read = (name: string): string => readFileSync(folder + name, "utf8");

function checkPair(settings: readonly Settings[]): string[] {
  const [alpha, beta] = settings;
  if (alpha === undefined || beta === undefined) return ["there must be two servers"];
  const shared = (each: Settings) => {
    const { service, application, servers, registry, limits, confirm, afterTotalLoss } = each;
    return JSON.stringify({
      service,
      application,
      servers,
      registry,
      limits,
      confirm,
      afterTotalLoss,
      nats: each.nats.servers,
    });
  };
  return [
    ...(shared(alpha) === shared(beta) ? [] : ["the two do not agree on the service"]),
    ...(alpha.server === beta.server ? ["the two have one name"] : []),
  ];
}

test("the settings for two machines are valid, agree with each other, and leave loopback only with TLS", (t) => {
  const names = readdirSync(folder).filter((name) => name.endsWith(".json"));
  t.deepEqual(names.toSorted(), ["alpha.json", "beta.json"]);
  const settings = names.toSorted().map((name) => Settings.parse(JSON.parse(read(name))));
  t.deepEqual(checkPair(settings), []);
  for (const { server, mainLink, nats, peers, servers } of settings) {
    t.true(mainLink.tls?.certFile.includes(server));
    t.false(mainLink.allowPlaintext);
    t.notThrows(() => refusePlaintextBrokers(nats));
    t.false(nats.allowPlaintext);
    t.regex(peers.keyFile ?? "", /^\//);
    t.false(peers.allowUnproven);
    t.true(servers.every(({ host }) => host !== "127.0.0.1"));
  }
});

test("the settings inside the compose file are valid and agree with each other", (t) => {
  const blocks = [...read("compose.yaml").matchAll(/content: \|\n( {6}\{\n[\s\S]*?\n {6}\}\n)/g)].map(([, json = ""]) =>
    Settings.parse(JSON.parse(json)),
  );
  t.deepEqual(checkPair(blocks), []);
  t.true(blocks.every(({ nats, peers }) => nats.allowPlaintext && peers.allowUnproven));
  const probed = [...read("compose.yaml").matchAll(/http:\/\/127\.0\.0\.1:(\d+)\/readyz/g)].map(([, port]) =>
    Number(port),
  );
  t.deepEqual(
    blocks.map(({ http }) => http?.port),
    probed,
    "the health check asks where the server listens",
  );
});

test("the systemd unit starts the server, on purpose and again, and gives it time to stop", (t) => {
  const unit = read("twinlog@.service");
  t.regex(
    unit,
    /^ExecStart=\/usr\/bin\/node \/opt\/twinlog\/dist\/deploy\/twinlog\.js server --config \/etc\/twinlog\/%i\.json$/m,
  );
  t.regex(unit, /^Restart=always$/m);
  t.regex(unit, /^RestartSec=500ms$/m);
  t.regex(unit, /^KillSignal=SIGTERM$/m);
  const [, stopS] = /^TimeoutStopSec=(\d+)s$/m.exec(unit) ?? [];
  t.true(Number(stopS) >= 30);
});
