/**
 * Metrics as Prometheus reads them, by prom-client. What always holds: values are read when somebody asks, all from one source, and
 * nothing is kept here between two questions.
 */
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { HistogramReading, Metric } from "./ports.ts";

export class PrometheusText<Source extends object> {
  readonly #registry = new Registry();
  #source: Source | null = null;

  /** `labels`: of each value. Throws where a name or a label is not one of Prometheus'. */
  constructor(metrics: readonly Metric<Source>[], labels: Readonly<Record<string, string>>) {
    this.#registry.setDefaultLabels(labels);
    for (const metric of metrics) this.#registry.registerMetric(this.#make(metric));
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Each value is read before this returns. */
  text(source: Source): Promise<string> {
    this.#source = source;
    const text = this.#registry.metrics();
    this.#source = null;
    return text;
  }

  #make(metric: Metric<Source>): Counter | Gauge | Histogram {
    const { name, help } = metric;
    const read = <Known>(from: (source: Source) => Known): Known => {
      if (this.#source === null) throw new Error("metrics are read from a source");
      return from(this.#source);
    };
    // It is registered here, and nowhere else.
    if (metric.type === "histogram") return new ReadHistogram({ name, help, registers: [] }, () => read(metric.read));
    const config = { name, help, registers: [], labelNames: metric.labels };
    if (metric.type === "gauge")
      return new Gauge({
        ...config,
        collect() {
          this.reset();
          const all = read(metric.read);
          // One without labels is 0 after a reset, and what is not known is not 0.
          if (all.length === 0 && metric.labels.length === 0) this.remove();
          for (const { labels = {}, value } of all) this.set(labels, value);
        },
      });
    return new Counter({
      ...config,
      collect() {
        this.reset();
        for (const { labels = {}, value } of read(metric.read)) this.inc(labels, value);
      },
    });
  }
}

/** One whose buckets are counted elsewhere: the library's own looks labels up for each value. */
class ReadHistogram extends Histogram {
  readonly #config: { readonly name: string; readonly help: string };
  readonly #read: () => HistogramReading;

  constructor(config: { name: string; help: string; registers: Registry[] }, read: () => HistogramReading) {
    super(config);
    this.#config = config;
    this.#read = read;
  }

  /** What the registry asks, and the library's own `get`. */
  async getForPromString() {
    const { name, help } = this.#config;
    const { bounds, counts, sum } = this.#read();
    let count = 0;
    const sharedLabels = {};
    const values = [];
    for (let at = 0; at <= bounds.length; at += 1) {
      count += counts[at] ?? 0;
      const labels: Record<string, string | number> = { le: bounds[at] ?? "+Inf" };
      values.push({ metricName: `${name}_bucket`, labels, sharedLabels, value: count });
    }
    values.push({ metricName: `${name}_sum`, labels: {}, sharedLabels, value: sum });
    values.push({ metricName: `${name}_count`, labels: {}, sharedLabels, value: count });
    return { name, help, type: "histogram", values, aggregator: "sum" };
  }
}
