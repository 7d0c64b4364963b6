/** deploy/monitoring/dashboard.json, as its tests read it. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

interface Datasource {
  readonly type: string;
  readonly uid: string;
}

export interface Target {
  readonly expr: string;
  readonly refId: string;
  readonly legendFormat: string;
  readonly datasource: Datasource;
  readonly instant?: boolean;
}

export interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly datasource?: Datasource;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly Target[];
  readonly options?: { readonly textMode?: string };
}

interface Dashboard {
  readonly schemaVersion: number;
  readonly panels: readonly Panel[];
  readonly annotations: {
    readonly list: readonly { readonly expr: string; readonly titleFormat: string; readonly datasource: Datasource }[];
  };
  readonly templating: { readonly list: readonly { readonly name: string; readonly type: string }[] };
}

const path = fileURLToPath(new URL("../../../deploy/monitoring/dashboard.json", import.meta.url));
export const dashboard = JSON.parse(readFileSync(path, "utf8")) as Dashboard;

/** Everything that it asks, each with the text that names what comes of it. */
export const dashboardQuestions = [
  ...dashboard.panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr, legendFormat }) => ({ title, expr, legend: legendFormat })),
  ),
  ...dashboard.annotations.list.map(({ expr, titleFormat }) => ({ title: "annotation", expr, legend: titleFormat })),
];

export const dashboardExpressions = dashboardQuestions.map(({ expr }) => expr);
