import type { Counter, Gauge, Histogram, Registry } from "prom-client";
import { METRICS, type MetricDeclaration, type MetricName } from "../../schemas/metrics.js";

type OfType<Type extends MetricDeclaration["type"]> = {
  [Name in MetricName]: (typeof METRICS)[Name]["type"] extends Type ? Name : never;
}[MetricName];
type LabelsOf<Name extends MetricName> = Readonly<Record<(typeof METRICS)[Name]["labels"][number], string | number>>;

/** The declared metrics, with prom-client behind them: a name or label that is not declared does not compile. */
export class MetricsRegistry {
  readonly #registry: Registry;
  readonly #metrics: ReadonlyMap<string, Counter | Gauge | Histogram>;

  private constructor(registry: Registry, metrics: ReadonlyMap<string, Counter | Gauge | Histogram>) {
    this.#registry = registry;
    this.#metrics = metrics;
  }

  /** With the process's own figures (`process_…`, `nodejs_…`). */
  static async open(): Promise<MetricsRegistry> {
    const client = (await import("prom-client")).default;
    const registry = new client.Registry();
    const metrics = new Map<string, Counter | Gauge | Histogram>();
    for (const [name, { type, help, labels, ...more }] of Object.entries(METRICS)) {
      const common = { name, help, labelNames: [...labels], registers: [registry] };
      if (type === "counter") metrics.set(name, new client.Counter(common));
      else if (type === "histogram")
        metrics.set(name, new client.Histogram({ ...common, buckets: [...("buckets" in more ? more.buckets : [])] }));
      else {
        const gauge = new client.Gauge(common);
        // A gauge without labels is 0 from the start: a time that nobody has set would be 1970.
        if (labels.length === 0) gauge.remove();
        metrics.set(name, gauge);
      }
    }
    client.collectDefaultMetrics({ register: registry });
    return new MetricsRegistry(registry, metrics);
  }

  add<Name extends OfType<"counter">>(name: Name, labels: LabelsOf<Name>, value = 1): void {
    const metric: unknown = this.#metrics.get(name);
    (metric as Counter).inc(labels, value);
  }

  set<Name extends OfType<"gauge">>(name: Name, labels: LabelsOf<Name>, value: number): void {
    (this.#metrics.get(name) as Gauge).set(labels, value);
  }

  /** The series is no longer this process's to tell. */
  forget<Name extends OfType<"gauge">>(name: Name, labels: LabelsOf<Name>): void {
    (this.#metrics.get(name) as Gauge).remove(labels);
  }

  time<Name extends OfType<"histogram">>(name: Name, labels: LabelsOf<Name>, seconds: number): void {
    (this.#metrics.get(name) as Histogram).observe(labels, seconds);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** In Prometheus' text format */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  /** Names of all that is shown, the process's own too */
  names(): readonly string[] {
    return this.#registry.getMetricsAsArray().map(({ name }) => name);
  }
}
