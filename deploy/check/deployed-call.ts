import { parse } from "yaml";
import { environmentOverrides } from "../../cli/config/override.js";
import { configSchema, type Config } from "../../schemas/config.js";

/** A call of `sluice` that a deployment makes: what stands in a container, a unit or a job. */
export interface DeployedCall {
  /** Such as `compose.yaml scorer` */
  readonly place: string;
  /** Without `sluice` itself */
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Ports that are opened or probed, by what they are for */
  readonly ports: Readonly<Partial<Record<"metrics" | "console", readonly number[]>>>;
  /** Paths that are probed or scraped */
  readonly paths: readonly string[];
}

/** Variables that the command reads besides its settings. */
const OTHER_VARIABLES = new Set(["SLUICE_CONFIG", "SLUICE_CACHE", "SLUICE_SERVE_TOKEN"]);

/** What of a deployed call is not in the code: commands, flags, settings, ports and paths, a line each. */
export async function callFaults(
  call: DeployedCall,
  helpOf: (command: readonly string[]) => Promise<string | null>,
  served: { readonly metricsPaths: readonly string[]; readonly consolePort: number },
): Promise<string[]> {
  const faults: string[] = [];
  const fault = (text: string): void => void faults.push(`${call.place}: ${text}`);
  const flagsFrom = call.args.findIndex((word) => word.startsWith("-"));
  const words = flagsFrom === -1 ? call.args : call.args.slice(0, flagsFrom);
  const flags = (flagsFrom === -1 ? [] : call.args.slice(flagsFrom)).filter((word) => word.startsWith("-"));
  const help = await commandHelp(words, helpOf);
  if (help === null) fault(`expected a command of sluice, found ${call.args.join(" ")}`);
  for (const flag of flags) {
    const name = flag.split("=", 1)[0]!;
    if (help !== null && !new RegExp(`(^|[\\s,])${name}(\\s|=|$)`, "m").test(help)) {
      fault(`${words.join(" ")} has no flag ${name}`);
    }
  }
  const settings = Object.fromEntries(
    Object.entries(call.environment).filter(([name]) => name.startsWith("SLUICE_") && !OTHER_VARIABLES.has(name)),
  );
  const known = environmentOverrides(settings);
  const named = new Set(known.filter((each) => !("message" in each)).map(({ from }) => from));
  for (const name of Object.keys(settings)) if (!named.has(name)) fault(`${name} is no setting`);
  const metricsPort = Number(call.environment["SLUICE_METRICS__PORT"] ?? Number.NaN);
  for (const port of call.ports.metrics ?? []) {
    if (port !== metricsPort) fault(`metrics are expected on port ${port}, and SLUICE_METRICS__PORT is ${metricsPort}`);
  }
  const portFlag = call.args.indexOf("--port");
  const consolePort = portFlag === -1 ? served.consolePort : Number(call.args[portFlag + 1]);
  for (const port of call.ports.console ?? []) {
    if (port !== consolePort) fault(`the console is expected on port ${port}, and listens on ${consolePort}`);
  }
  for (const path of call.paths) if (!served.metricsPaths.includes(path)) fault(`nothing answers at ${path}`);
  return faults;
}

/** Help of the longest command that the words begin with; what follows are its arguments. */
async function commandHelp(
  words: readonly string[],
  helpOf: (command: readonly string[]) => Promise<string | null>,
): Promise<string | null> {
  const [two, one] = [words.slice(0, 2), words.slice(0, 1)];
  return (two.length === 2 ? await helpOf(two) : null) ?? (one.length === 1 ? await helpOf(one) : null);
}

/** The configuration of a `sluice.yaml` text as the command reads it, or what is wrong in it. Keys and the teacher come from elsewhere. */
export function configurationFaults(
  place: string,
  text: string,
): { readonly config: Config | null; readonly faults: string[] } {
  const given = parse(text) as Record<string, unknown>;
  const s3 = given["s3"] as Record<string, unknown> | undefined;
  const kafka = given["kafka"] as { sasl?: Record<string, unknown> } | undefined;
  const read = configSchema.safeParse({
    ...given,
    ...(s3 === undefined ? {} : { s3: { accessKey: "of the secret", secretKey: "of the secret", ...s3 } }),
    ...(kafka?.sasl === undefined
      ? {}
      : { kafka: { ...kafka, sasl: { username: "of the secret", password: "of the secret", ...kafka.sasl } } }),
  });
  if (read.success) return { config: read.data, faults: [] };
  return {
    config: null,
    faults: read.error.issues.map(({ path, message }) => `${place}: ${path.join(".")}: ${message}`),
  };
}
