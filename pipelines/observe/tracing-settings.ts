import { SluiceError } from "../../schemas/errors.js";

/** Images that are traced where the environment does not say: of a stream of millions, some. */
const DEFAULT_RATIO = 0.001;
const DEFAULT_TIMEOUT_MS = 10_000;

export interface TracingSettings {
  /** Where spans are posted */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  /** Share of the produced images that a trace begins with, 0 to 1 */
  readonly ratio: number;
  /** Of `service.name` and the like */
  readonly resource: Readonly<Record<string, string>>;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * What OpenTelemetry's own variables ask for; null where they name no collector: then nothing is traced, and nothing sent.
 * Source: "OpenTelemetry environment variable specification". Throws E_CONFIG for what is asked for and not had.
 */
export function tracingSettings(environment: Environment, command: string): TracingSettings | null {
  const said = (name: string): string | undefined => {
    const text = environment[name]?.trim();
    return text === "" ? undefined : text;
  };
  const own = said("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
  const shared = said("OTEL_EXPORTER_OTLP_ENDPOINT");
  const endpoint = own ?? shared;
  if (endpoint === undefined || said("OTEL_SDK_DISABLED")?.toLowerCase() === "true") return null;
  if (said("OTEL_TRACES_EXPORTER") === "none") return null;
  const protocol = said("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") ?? said("OTEL_EXPORTER_OTLP_PROTOCOL");
  if (protocol === "grpc") {
    throw wrong("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", protocol, "Collectors take it on port 4318.");
  }
  const url = URL.canParse(endpoint) ? new URL(endpoint) : null;
  if (url === null || !/^https?:$/.test(url.protocol)) {
    const name = own === undefined ? "OTEL_EXPORTER_OTLP_ENDPOINT" : "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
    throw wrong(name, "an http(s) address such as http://localhost:4318", endpoint, "Without it nothing is traced.");
  }
  if (own === undefined) url.pathname = `${url.pathname.replace(/\/+$/, "")}/v1/traces`;
  const listed = pairs("OTEL_RESOURCE_ATTRIBUTES", said("OTEL_RESOURCE_ATTRIBUTES"));
  const headers = said("OTEL_EXPORTER_OTLP_TRACES_HEADERS") ?? said("OTEL_EXPORTER_OTLP_HEADERS");
  return {
    url: url.href,
    headers: pairs("OTEL_EXPORTER_OTLP_HEADERS", headers),
    timeoutMs: number("OTEL_EXPORTER_OTLP_TIMEOUT", said("OTEL_EXPORTER_OTLP_TIMEOUT"), DEFAULT_TIMEOUT_MS),
    ratio: ratioOf(said("OTEL_TRACES_SAMPLER"), said("OTEL_TRACES_SAMPLER_ARG")),
    resource: { "service.name": "sluice", "sluice.command": command, ...listed, ...named(said("OTEL_SERVICE_NAME")) },
  };
}

function named(service: string | undefined): Record<string, string> {
  return service === undefined ? {} : { "service.name": service };
}

function ratioOf(sampler: string | undefined, argument: string | undefined): number {
  switch (sampler?.replace(/^parentbased_/, "")) {
    case "always_on":
      return 1;
    case "always_off":
      return 0;
    case undefined:
    case "traceidratio": {
      const ratio = number("OTEL_TRACES_SAMPLER_ARG", argument, sampler === undefined ? DEFAULT_RATIO : 1);
      if (ratio <= 1) return ratio;
      throw wrong(
        "OTEL_TRACES_SAMPLER_ARG",
        "a share from 0 to 1",
        argument ?? "",
        "0.01 traces one image in a hundred.",
      );
    }
    default:
      throw wrong(
        "OTEL_TRACES_SAMPLER",
        "always_on, always_off or traceidratio, each also with parentbased_",
        sampler ?? "",
        "Of images that bring a trace, the trace decides.",
      );
  }
}

function number(name: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (Number.isFinite(value) && value >= 0) return value;
  throw wrong(name, "a number, 0 or more", text, "Without it the default holds.");
}

/** `name=value,name=value`, values percent-encoded */
function pairs(name: string, text: string | undefined): Record<string, string> {
  const found: Record<string, string> = {};
  for (const pair of text?.split(",") ?? []) {
    if (pair.trim() === "") continue;
    const [, key = "", value = ""] = /^\s*([^=\s]+)\s*=\s*(.*?)\s*$/.exec(pair) ?? [];
    if (key === "") throw wrong(name, "name=value, between commas", pair, "Encode commas in values as %2C.");
    found[key] = decoded(name, value);
  }
  return found;
}

function decoded(name: string, value: string): string {
  try {
    return decodeURIComponent(value);
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
    throw wrong(name, "percent-encoded values", value, "Encode % as %25.");
  }
}

function wrong(name: string, expected: string, found: string, remedy: string): SluiceError {
  return new SluiceError("E_CONFIG", `Expected ${expected} in ${name}, found "${found}". ${remedy}`, { field: name });
}
