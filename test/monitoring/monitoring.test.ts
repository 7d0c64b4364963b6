/**
 * What deploy/monitoring/ gives to Prometheus: it asks only for what servers tell, leads to the runbook, and does in promtool's own
 * eyes what it says.
 */
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";
import { metrics } from "../../actors/operator/metrics.ts";
import { anchorOf } from "../../deploy/runbook.ts";
import { troubleKinds } from "../../schemas/troubles.ts";
import { temporaryDirectory } from "../helpers/temporary-directory.ts";
import { dashboardExpressions } from "./dashboard.ts";
import { exampleText } from "./example-source.ts";
import { findPromtool, promtool } from "./find-promtool.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const pathOf = (name: string) => join(root, "deploy/monitoring", name);
const alertTests = join(root, "test/monitoring/alerts.test.yaml");
const rules = readFileSync(pathOf("alerts.yaml"), "utf8");

/** Each alert's, on one line. */
const ruleExpressions = [...rules.matchAll(/^ +expr: (?:>-\s+)?(.+)$/gm)].map(([, expr = ""]) => expr);

const text = await exampleText();
/** Of what a server tells: each series' name, and its labels with all their values. */
const told = new Map<string, Map<string, Set<string>>>();
for (const [, name = "", labels = ""] of text.matchAll(/^(\w+)\{(.*)\} \S+$/gm)) {
  const known = told.get(name) ?? new Map<string, Set<string>>();
  told.set(name, known);
  for (const [, label = "", value = ""] of labels.matchAll(/(\w+)="([^"]*)"/g))
    known.set(label, (known.get(label) ?? new Set()).add(value));
}

/** What an expression asks for and no server tells: "" where there is no such thing. */
function unknownIn(expression: string): string[] {
  const asked = expression.matchAll(/\b((?:twinlog|process|nodejs)_\w+)(?:\{([^}]*)\})?/g);
  return [...asked].flatMap(([, name = "", matchers = ""]) => {
    const labels = told.get(name);
    if (labels === undefined) return [name];
    return [...matchers.matchAll(/(\w+)="([^"]*)"/g)]
      .filter(([, label = "", value = ""]) => !value.startsWith("$") && labels.get(label)?.has(value) !== true)
      .map(([matcher]) => `${name}{${matcher}}`);
  });
}

test("every metric tells something of a server of which everything is known", (t) => {
  for (const { name, type } of metrics) t.true(told.has(type === "histogram" ? `${name}_bucket` : name), name);
  t.is(text.match(/^twinlog_certificate_expiry_timestamp_seconds\S* (\S+)$/m)?.[1], "1800000000", "the first to end");
  t.is(text.match(/^twinlog_last_backup_timestamp_seconds\S* (\S+)$/m)?.[1], "1764000060");
});

test("rules and dashboard ask only for metrics, labels and values that servers tell", (t) => {
  t.true(ruleExpressions.length >= 15 && dashboardExpressions.length >= 30);
  t.is(ruleExpressions.length, [...rules.matchAll(/- alert: /g)].length);
  for (const expression of [...ruleExpressions, ...dashboardExpressions])
    t.deepEqual(unknownIn(expression), [], expression);
  t.deepEqual(unknownIn('twinlog_nothing{a="b"} + twinlog_role{role="boss"} + twinlog_epoch{peer="x"}'), [
    "twinlog_nothing",
    'twinlog_role{role="boss"}',
    'twinlog_epoch{peer="x"}',
  ]);
});

test("every alert has a severity and a summary, leads to an entry of the runbook, and is tried both ways", (t) => {
  const runbook = readFileSync(join(root, "deploy/RUNBOOK.md"), "utf8");
  const entries = new Set([...runbook.matchAll(/^### (.+)$/gm)].map(([, name]) => name));
  const tried = readFileSync(alertTests, "utf8");
  const names = [...rules.matchAll(/- alert: (\w+)\n([\s\S]*?)(?=\n\n|$(?![\s\S]))/g)];
  t.is(new Set(names.map(([, name]) => name)).size, names.length);
  for (const [, name = "", body = ""] of names) {
    t.regex(body, /severity: (critical|warning|info) /, name);
    t.regex(body, /summary: ".+"\n +description: ".+"/, name);
    const [, entry = ""] = /runbook_url: '?deploy\/RUNBOOK\.md#(.+?)'?$/m.exec(body) ?? [];
    // Of a trouble: by its code.
    if (entry.startsWith("{{")) t.regex(entry, /^\{\{ reReplaceAll "\\\\\." "-" \(toLower \$labels\.code\) \}\}$/);
    else t.true(entries.has(entry), `${name} leads to ${entry}`);
    t.regex(tried, new RegExp(`alertname: ${name}, exp_alerts: \\[\\]`), `${name} is never silent`);
    t.regex(tried, new RegExp(`alertname: ${name}\\n +exp_alerts:\\n`), `${name} is never raised`);
  }
  for (const code of Object.keys(troubleKinds))
    t.true([...entries].some((entry) => anchorOf(entry ?? "") === anchorOf(code)));
});

test("promtool is looked for where it is named, then on the PATH", async (t) => {
  const folder = await temporaryDirectory(t);
  const path = join(folder, "promtool");
  writeFileSync(path, "");
  t.regex(((await findPromtool({ TWINLOG_PROMTOOL: path })) as { why: string }).why, /names .*, which is no program/);
  chmodSync(path, 0o755);
  t.deepEqual(await findPromtool({ TWINLOG_PROMTOOL: path, PATH: "" }), { path });
  t.deepEqual(await findPromtool({ PATH: `/nowhere:${folder}` }), { path });
});

test.serial("promtool: what a server tells is in Prometheus' format, and its names keep the conventions", async (t) => {
  const ran = await promtool(t, ["check", "metrics"], text);
  if (ran === null) return;
  t.deepEqual(ran, { status: 0, said: "" });
  const wrong = await promtool(t, ["check", "metrics"], text.replaceAll("twinlog_lives_total", "twinlog_lives"));
  t.not(wrong?.status, 0, "it would tell of a name that does not");
});

test.serial("promtool: the rules and the example's settings are understood", async (t) => {
  const checked = await promtool(t, ["check", "config", pathOf("prometheus.yaml")]);
  if (checked === null) return;
  t.is(checked.status, 0, checked.said);
  t.regex(checked.said, /1 rule files found/);
  const lint = await promtool(t, ["check", "rules", "--lint-fatal", pathOf("alerts.yaml")]);
  t.is(lint?.status, 0, lint?.said);
});

test.serial("promtool: each alert is raised when it should be, and then alone", async (t) => {
  const ran = await promtool(t, ["test", "rules", alertTests]);
  if (ran !== null) t.is(ran.status, 0, ran.said);
});
