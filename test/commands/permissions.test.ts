/** `twinlog permissions`: each format can be taken as it stands, and says the same. */
import { execFileSync } from "node:child_process";
import test from "ava";
import { natsPermissions } from "../../deploy/nats/permissions.ts";
import { roleNames } from "../../schemas/roles.ts";
import { makeRig } from "./rig.ts";

const { run } = makeRig();

for (const role of roleNames) {
  test(`${role}: nats.conf, nsc and JSON say the same`, async (t) => {
    const name = role === "server" ? "alpha" : "o'x $HOME *";
    const words = ["permissions", "--role", role, "--name", name, "--service", "orders", "--bucket", "kept"];
    const wanted = natsPermissions({ role, name, service: "orders", bucket: "kept" });
    const json = await run([...words, "--format", "json"]);
    t.deepEqual(JSON.parse(json.out), wanted);

    const { out: conf } = await run(words);
    const subjects = [...conf.matchAll(/"([^"]+)"/g)].map(([, subject]) => subject);
    const all = Object.values(wanted).flatMap((rule) => Object.values(rule).flat() as string[]);
    t.deepEqual(subjects, all);
    t.regex(conf, /^permissions: \{\n/);

    const { out: nsc } = await run([...words, "--format", "nsc"]);
    const shell = execFileSync("sh", ["-c", `nsc() { printf '%s\\n' "$@"; }\n${nsc}`])
      .toString()
      .trimEnd()
      .split("\n");
    const flags = (["publish", "subscribe"] as const).flatMap((what) =>
      Object.entries(wanted[what]).flatMap(([verb, list]) =>
        (list as string[]).flatMap((subject) => [`--${verb}-${what === "publish" ? "pub" : "sub"}`, subject]),
      ),
    );
    t.deepEqual(shell, ["add", "user", "--account", "orders", "--name", name, ...flags]);
  });
}

test("what names nobody is one line and status 1", async (t) => {
  for (const words of [
    ["--role", "client"],
    ["--role", "server"],
    ["--role", "server", "--name", "*"],
    ["--role", "viewer", "--bucket", "a.b"],
  ]) {
    const ran = await run(["permissions", ...words]);
    t.is(ran.status, 1);
    t.regex(ran.err, /^twinlog: .+\n$/);
    t.is(ran.out, "");
  }
});

test("without a name it is the one that the commands go by", async (t) => {
  const operator = ["permissions", "--role", "operator", "--format", "json"];
  t.regex((await run(operator)).out, /"_INBOX\.operator\.cli\.>"/);
  t.regex((await run(operator, { environment: { TWINLOG_NAME: "olga" } })).out, /"_INBOX\.operator\.olga\.>"/);
});
