import { randomBytes } from "node:crypto";
import { CODE_VERSION } from "../../schemas/code-version.js";
import { messageOf } from "../../schemas/errors.js";
import type { EndedSpan, Tracer } from "../../schemas/observed.js";
import type { TracingSettings } from "./tracing-settings.js";

/** Spans are sent so often, ms, or when there are so many */
const EVERY_MS = 2000;
const A_POST = 512;
/** Spans that wait for a collector that is away; beyond, the oldest are left out */
const MOST_WAITING = 4096;
/** What the last spans may take at the end, ms: a run does not wait for a collector that is away */
const LAST_MS = 3000;
/** Answers after which the same spans are sent again. Source: OTLP specification, "Retryable response codes" */
const AGAIN = [429, 502, 503, 504];

/** Numbers of OTLP's enumerations */
const KINDS = { produce: 4, score: 5, rank: 5, publish: 1 } as const;
const STATUS_ERROR = 2;

/** Traces a share of the images; the ids are random. */
export function openTracer(ratio: number, random: () => number = Math.random): Tracer {
  const id = (bytes: number): string => randomBytes(bytes).toString("hex");
  return {
    begin: () => (random() < ratio ? { traceId: id(16), spanId: id(8) } : null),
    next: ({ traceId }) => ({ traceId, spanId: id(8) }),
  };
}

/** Sends spans to a collector as OTLP over HTTP, in JSON. Neither throws nor holds up those who tell it of spans. */
export class SpanExporter {
  readonly #settings: TracingSettings;
  readonly #warn: (message: string) => void;
  #waiting: EndedSpan[] = [];
  #sending: Promise<void> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #leftOut = 0;
  /** What was said last: the same is not said again */
  #said = "";

  constructor(settings: TracingSettings, warn: (message: string) => void) {
    this.#settings = settings;
    this.#warn = warn;
  }

  take(span: EndedSpan): void {
    this.#waiting.push(span);
    if (this.#waiting.length > MOST_WAITING) {
      this.#waiting.shift();
      this.#leftOut++;
    }
    if (this.#waiting.length >= A_POST) void this.#flush();
    else this.#timer ??= setTimeout(() => void this.#flush(), EVERY_MS).unref();
  }

  async close(): Promise<void> {
    const atMs = performance.now();
    do await this.#flush(LAST_MS - (performance.now() - atMs));
    while (this.#waiting.length > 0 && this.#said === "" && performance.now() - atMs < LAST_MS);
    this.#stopTimer();
    const lost = this.#leftOut + this.#waiting.length;
    if (lost > 0)
      this.#warn(`${lost} spans of traces were not sent to ${this.#settings.url}. Images are not concerned.`);
  }

  #stopTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  async #flush(timeoutMs = this.#settings.timeoutMs): Promise<void> {
    if (this.#sending === null) {
      this.#stopTimer();
      const spans = this.#waiting.splice(0, A_POST);
      if (spans.length === 0) return;
      this.#sending = this.#send(spans, Math.max(1, timeoutMs)).finally(() => {
        this.#sending = null;
        if (this.#waiting.length > 0) this.#timer ??= setTimeout(() => void this.#flush(), EVERY_MS).unref();
      });
    }
    await this.#sending;
  }

  async #send(spans: readonly EndedSpan[], timeoutMs: number): Promise<void> {
    const { url, headers, resource } = this.#settings;
    const again = (why: string): void => {
      this.#waiting.unshift(...spans.slice(0, MOST_WAITING - this.#waiting.length));
      this.#say(
        `The collector of traces at ${url} does not take spans: ${why}. They wait, the newest ${MOST_WAITING} of them.`,
      );
    };
    let response: Response;
    try {
      response = await fetch(url, {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body: JSON.stringify(otlpOf(spans, resource)),
        signal: AbortSignal.timeout(Math.ceil(timeoutMs)),
      });
      await response.arrayBuffer();
    } catch (error) {
      // `fetch` gives whatever a network may do as its own kinds of errors; a bug of ours would be one of neither.
      if (!(error instanceof TypeError) && !(error instanceof DOMException)) throw error;
      again(error.cause === undefined ? error.message : messageOf(error.cause));
      return;
    }
    if (response.ok) this.#said = "";
    else if (AGAIN.includes(response.status)) again(`it answers ${response.status}`);
    else {
      this.#leftOut += spans.length;
      this.#say(`The collector of traces at ${url} refuses spans with ${response.status}; they are left out.`);
    }
  }

  #say(message: string): void {
    if (this.#said !== message) this.#warn(message);
    this.#said = message;
  }
}

/** The request of OTLP/HTTP in JSON: ids in hex, 64-bit numbers as text. */
function otlpOf(spans: readonly EndedSpan[], resource: Readonly<Record<string, string>>): unknown {
  return {
    resourceSpans: [
      {
        resource: { attributes: attributesOf(resource) },
        scopeSpans: [{ scope: { name: "sluice", version: CODE_VERSION }, spans: spans.map(spanOf) }],
      },
    ],
  };
}

function spanOf({ name, trace, parent, startMs, endMs, failure, attributes }: EndedSpan): unknown {
  return {
    traceId: trace.traceId,
    spanId: trace.spanId,
    ...(parent === null ? {} : { parentSpanId: parent.spanId }),
    name,
    kind: KINDS[name],
    startTimeUnixNano: nanosOf(startMs),
    endTimeUnixNano: nanosOf(Math.max(startMs, endMs)),
    attributes: attributesOf(attributes),
    ...(failure === undefined ? {} : { status: { code: STATUS_ERROR, message: failure } }),
  };
}

const nanosOf = (ms: number): string => String(BigInt(Math.round(ms * 1000)) * 1000n);

function attributesOf(attributes: EndedSpan["attributes"]): unknown[] {
  return Object.entries(attributes).map(([key, value]) => ({ key, value: valueOf(value) }));
}

function valueOf(value: string | number | boolean): unknown {
  if (typeof value === "string") return { stringValue: value };
  if (typeof value === "boolean") return { boolValue: value };
  return Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value };
}
