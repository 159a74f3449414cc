import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parse } from "yaml";
import { MetricsRegistry } from "../../pipelines/observe/registry.js";
import { ERROR_CODES } from "../../schemas/errors.js";
import { METRICS, type MetricDeclaration } from "../../schemas/metrics.js";
import { LOOPS } from "../../schemas/observed.js";
import { STAGES } from "../../schemas/stage-shares.js";
import { ROOT } from "../architecture/repository.js";
import { namesIn } from "./queries.js";

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly runbook_url: string };
}

const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");
const rules = (parse(read("deploy/prometheus/alerts.yaml")) as { groups: { rules: Rule[] }[] }).groups.flatMap(
  ({ rules: some }) => some,
);
const dashboard: unknown = JSON.parse(read("deploy/grafana/sluice.json"));

/** Every `expr` below a value, with where it is */
function expressions(value: unknown, at = "dashboard"): [string, string][] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]) =>
    name === "expr" ? [[at, String(inner)] as [string, string]] : expressions(inner, `${at}.${name}`),
  );
}

/** Labels that Prometheus adds to what it scrapes */
const SCRAPED = ["job", "instance"];
/** Of labels whose values are a closed list */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  outcome: ["scored", "copied", "quarantined", "lost", "ok", "absent", "exists", "failed"],
  stage: STAGES,
  loop: LOOPS,
  code: Object.keys(ERROR_CODES),
};

/** What is wrong with an expression; empty where every name in it exists. */
function faults(expression: string, processNames: ReadonlySet<string>): string[] {
  const { metrics, grouped } = namesIn(expression);
  const found: string[] = metrics.length === 0 ? ["names no metric"] : [];
  const labelled = new Set(SCRAPED);
  for (const { name, labels, within, appears } of metrics) {
    const base = name.replace(/_(bucket|sum|count)$/, "");
    const own = (METRICS as Readonly<Record<string, MetricDeclaration>>)[name];
    const histogram = (METRICS as Readonly<Record<string, MetricDeclaration>>)[base];
    const declared = own ?? (histogram?.type === "histogram" ? histogram : undefined);
    if (declared === undefined && name !== "up" && !processNames.has(name)) found.push(`${name} is no metric`);
    if (own?.type === "histogram") found.push(`${name} is a histogram: it has _bucket, _sum and _count`);
    const isCounter =
      own?.type === "counter" || declared?.type === "histogram" || (declared === undefined && name.endsWith("_total"));
    if (
      isCounter !== (within === "rate" || within === "increase") &&
      within !== "delta" &&
      within !== "changes" &&
      !appears
    )
      found.push(`${name}: ${isCounter ? "a counter stands in rate or increase" : "only a counter has a rate"}`);
    for (const label of declared?.labels ?? []) labelled.add(label);
    if (name.endsWith("_bucket")) labelled.add("le");
    for (const [label, value] of Object.entries(labels)) {
      if (!SCRAPED.includes(label) && !(declared?.labels as readonly string[] | undefined)?.includes(label))
        found.push(`${name} has no label ${label}`);
      if (VALUES[label]?.includes(value) === false) found.push(`${name} never has ${label}="${value}"`);
    }
  }
  for (const label of grouped) if (!labelled.has(label)) found.push(`none of its metrics has a label ${label}`);
  return found;
}

test("every query of the dashboard and of the alerts names metrics and labels that there are", async () => {
  const registry = await MetricsRegistry.open();
  const own = new Set(registry.names().filter((name) => !name.startsWith("sluice_")));
  const queries = [...expressions(dashboard), ...rules.map(({ alert, expr }) => [alert, expr] as const)];
  assert.ok(queries.length > 30);
  const wrong = queries.flatMap(([at, expr]) => faults(expr, new Set(own)).map((fault) => `${at}: ${fault}`));
  assert.deepEqual(wrong, []);
});

test("a query that names what there is not is found out", () => {
  const none = new Set<string>();
  assert.deepEqual(faults("sum(rate(sluice_imags_total[5m]))", none), ["sluice_imags_total is no metric"]);
  assert.deepEqual(faults('rate(sluice_images_total{outcome="dropped",class="cat"}[5m])', none), [
    'sluice_images_total never has outcome="dropped"',
    "sluice_images_total has no label class",
  ]);
  assert.deepEqual(faults("sum by (dataset) (sluice_lag_records)", none), ["none of its metrics has a label dataset"]);
  assert.deepEqual(faults("sluice_images_total > 5", none), [
    "sluice_images_total: a counter stands in rate or increase",
  ]);
  assert.deepEqual(faults("sluice_batch_seconds", none).length, 2);
});

test("every panel has a unit and says what it shows; ids are unique", () => {
  const { panels } = dashboard as {
    panels: {
      id: number;
      type: string;
      title: string;
      description?: string;
      fieldConfig?: { defaults: { unit?: string } };
    }[];
  };
  assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
  for (const { type, title, description, fieldConfig } of panels) {
    if (type === "row") continue;
    assert.ok((description ?? "").length > 5, title);
    assert.ok((fieldConfig?.defaults.unit ?? "") !== "", title);
  }
});

test("every alert has a severity, a sentence and a section of its own in docs/operations.md, which has no others", () => {
  const page = read("docs/operations.md");
  const alerts = page.slice(page.indexOf("## Alerts")).split(/^## (?!Alerts)/m)[0]!;
  const sections = [...alerts.matchAll(/^### (\S+)$/gm)].map(([, name]) => name);
  assert.deepEqual(sections.toSorted(), rules.map(({ alert }) => alert).toSorted());
  for (const { alert, labels, annotations } of rules) {
    assert.ok(["critical", "warning"].includes(labels.severity), alert);
    assert.ok(annotations.summary.length > 10, alert);
    assert.equal(annotations.runbook_url, `docs/operations.md#${alert.toLowerCase()}`);
  }
});
