import { METRIC_LABELS, METRICS, type MetricDeclaration } from "../../schemas/metrics.js";

/** docs/metrics.md: how a running command is looked at, and every metric, from the table that declares them. */
export function metricsPage(): string {
  const metrics = Object.entries(METRICS) as [string, MetricDeclaration][];
  return [
    "<!-- Printed from schemas/metrics.ts by `npm run schema`: change it there. -->",
    "",
    "# Metrics, health, logs",
    "",
    "`sluice ingest`, `replay`, `rebuild`, `compact`, `produce`, `serve` and every `sluice run …` answer three paths while they run, where they are told a port:",
    "",
    "```sh",
    "sluice run all --teacher model.onnx --metrics-port 9464",
    "curl http://127.0.0.1:9464/metrics",
    "```",
    "",
    "| path | answers |",
    "|---|---|",
    "| `/metrics` | the figures below, in Prometheus' text format |",
    "| `/readyz` | 200 where every loop of the process has reached its services and has taken up what it goes on from (a scorer its chains, a worker its shards); 503 before that, and while one waits for a broker or a store that is away |",
    "| `/healthz` | 200 where every loop has turned within 120 s or has nothing to do; 503 where one stands still: restart the process, nothing is lost |",
    "",
    "Both say as JSON which loop it is. `metrics.port` and `metrics.host` in `sluice.yaml` (`SLUICE_METRICS__PORT`) say the same as `--metrics-port` and `--metrics-host`; port 0",
    "takes any that is free, and a note says which. They listen on 127.0.0.1 unless told otherwise, and show figures only: no class, no file name, no image.",
    "Without a port nothing is measured. With one it costs at most 2 % of images/s (`npm run bench -- observe`).",
    "",
    "A dashboard for Grafana is in `deploy/grafana/`, alert rules in `deploy/prometheus/alerts.yaml`; what to do about each is in [operations](operations.md#alerts).",
    "",
    "## Figures",
    "",
    "Counters count since the process began. Histograms have `_bucket`, `_sum` and `_count`. Beside these, `process_…` and `nodejs_…` tell of the process",
    "itself (processor time, resident memory, open files, garbage collection, delay of the event loop).",
    "",
    "| metric | type | unit | labels | |",
    "|---|---|---|---|---|",
    ...metrics.map(
      ([name, { type, unit, labels, help }]) =>
        `| \`${name}\` | ${type} | ${unit} | ${labels.map((label) => `\`${label}\``).join(", ")} | ${help} |`,
    ),
    "",
    "## Labels",
    "",
    "Every label has few values, whatever flows in:",
    "",
    "| label | values |",
    "|---|---|",
    ...Object.entries(METRIC_LABELS).map(([label, values]) => `| \`${label}\` | ${values} |`),
    "",
  ].join("\n");
}
