/**
 * The dashboard for Grafana, as far as it can be judged without one: its panels stand where they should, and promtool finds in what
 * a server tells something to show for each expression, with the labels that its legend names.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { temporaryDirectory } from "../helpers/temporary-directory.ts";
import { dashboard, dashboardQuestions } from "./dashboard.ts";
import { exampleText } from "./example-source.ts";
import { promtool } from "./find-promtool.ts";

test("it is whole: its panels have places of their own, and each asks Prometheus for one service", (t) => {
  const { panels, templating } = dashboard;
  t.is(new Set(panels.map(({ id }) => id)).size, panels.length);
  t.deepEqual(
    templating.list.map(({ name }) => name),
    ["datasource", "service"],
  );
  const taken = new Set<string>();
  for (const { title, type, gridPos, targets = [] } of panels) {
    t.true(gridPos.x + gridPos.w <= 24, title);
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1)
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
        t.false(taken.has(`${x} ${y}`), `${title} covers another panel`);
        taken.add(`${x} ${y}`);
      }
    t.is(targets.length > 0, type !== "row", title);
    for (const { expr } of targets) t.regex(expr, /service="\$service"/, title);
  }
});

test("it is of Grafana 10's format, and of panels that Grafana brings; each asks the chosen Prometheus", (t) => {
  const chosen = { type: "prometheus", uid: `\${datasource}` };
  t.is(dashboard.schemaVersion, 39);
  for (const { type, title, datasource, targets = [], options = {} } of dashboard.panels) {
    t.true(["row", "stat", "timeseries"].includes(type), `${title}: ${type}`);
    if (type !== "row") t.deepEqual(datasource, chosen, title);
    t.is(new Set(targets.map(({ refId }) => refId)).size, targets.length, title);
    for (const target of targets) {
      t.deepEqual(target.datasource, chosen, title);
      t.is(target.instant === true, type === "stat", title);
      // What is 1 where it is so is named by its label: "normal", and not "1".
      if (type === "stat") t.is(options.textMode === "name", target.legendFormat !== "", title);
    }
  }
  for (const { datasource } of dashboard.annotations.list) t.deepEqual(datasource, chosen);
});

test.serial("promtool: each expression shows something of a server of which everything is known", async (t) => {
  const folder = await temporaryDirectory(t);
  const path = join(folder, "dashboard.yaml");
  writeFileSync(path, testOf(await exampleText(), dashboardQuestions));
  const ran = await promtool(t, ["test", "rules", path]);
  if (ran === null) return;
  t.is(ran.status, 0, ran.said);
  const wrong = [{ title: "wrong", expr: 'twinlog_role{service="$service"}', legend: "{{nothing}}" }];
  writeFileSync(path, testOf(await exampleText(), wrong));
  t.not((await promtool(t, ["test", "rules", path]))?.status, 0, "it would tell of a legend with no such label");
});

type Question = (typeof dashboardQuestions)[number];

/** Two minutes of what a server tells, read every 15 s: what counts goes on counting. */
function testOf(text: string, questions: readonly Question[]): string {
  const series = [...text.matchAll(/^(\w+\{.*\}) (\S+)$/gm)].map(([, name = "", value = ""]) => {
    const grows = /^\w+_(?:total|bucket|count|sum)\{/.test(name) ? "+1x8" : "x8";
    return `      - { series: ${JSON.stringify(name)}, values: "${Number(value)}${grows}" }`;
  });
  return [
    "evaluation_interval: 15s",
    "tests:",
    "  - interval: 15s",
    "    input_series:",
    ...series,
    "    promql_expr_test:",
    ...questions.flatMap(({ expr, legend }) => {
      const asked = expr.replaceAll("$service", "s").replaceAll("$__rate_interval", "1m");
      const labels = [...legend.matchAll(/\{\{(\w+)\}\}/g)].map(([, label = ""]) => label);
      const named = labels.reduce(
        (all, label) => `label_replace(${all}, "has_${label}", "yes", "${label}", ".+")`,
        asked,
      );
      const by = labels.map((label) => `has_${label}`);
      const found = `{${by.map((label) => `${label}="yes"`).join(", ")}}`;
      return [
        `      - expr: ${JSON.stringify(`count by (${by.join(", ")}) (${named}) > bool 0`)}`,
        "        eval_time: 2m",
        `        exp_samples: [{ labels: ${JSON.stringify(found)}, value: 1 }]`,
      ];
    }),
    "",
  ].join("\n");
}
