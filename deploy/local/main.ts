import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { isSluiceError, messageOf, EXIT } from "../../schemas/errors.js";
import { startKafka } from "./kafka.js";
import type { LocalService, StartOptions } from "./local-service.js";
import { startMinio } from "./minio.js";
import { startVersitygw } from "./versitygw.js";

const HELP = `Starts real servers on this machine's loopback and runs until Ctrl-C.

  npm run services [-- [kafka] [minio] [versitygw] [--keep <folder>]]

Without names: Kafka and MinIO. Needs java and mvn for Kafka, go for the object stores, the first time a network; what is
built stays in $SLUICE_CACHE (default ~/.cache/sluice).

  --keep <folder>  keep the servers' data there, and start on it again; without it the data goes when they stop
`;

const STARTERS: Readonly<Record<string, (options: StartOptions) => Promise<LocalService>>> = {
  kafka: startKafka,
  minio: startMinio,
  versitygw: startVersitygw,
};

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { keep: { type: "string" }, help: { type: "boolean", short: "h" } },
  });
  if (values.help === true) {
    process.stdout.write(HELP);
    return EXIT.ok;
  }
  const names = positionals.length === 0 ? ["kafka", "minio"] : [...new Set(positionals)];
  const unknown = names.filter((name) => !(name in STARTERS));
  if (unknown.length > 0) {
    process.stderr.write(`Expected kafka, minio or versitygw, found ${unknown.join(", ")}.\n\n${HELP}`);
    return EXIT.usage;
  }
  const stopped = new Promise<NodeJS.Signals>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
      process.on(signal, () => {
        resolve(signal);
      });
  });
  const running: LocalService[] = [];
  try {
    const starting = startAll(names, values.keep, running);
    starting.catch(() => undefined);
    // Ctrl-C while a server is being built or started: what is already up is stopped below, a build ends with us.
    if (!(await Promise.race([starting.then(() => true), stopped.then(() => false)]))) return EXIT.interrupted;
    print(running, values.keep);
    const alive = setInterval(() => undefined, 1 << 30);
    await stopped;
    clearInterval(alive);
    return EXIT.ok;
  } finally {
    process.stdout.write("stopping\n");
    await Promise.all(running.map((service) => service.stop()));
    process.stdout.write("stopped\n");
  }
}

async function startAll(names: readonly string[], keep: string | undefined, running: LocalService[]): Promise<void> {
  for (const name of names) {
    const report = (line: string): void => void process.stdout.write(`${name}: ${line}\n`);
    const folder = keep === undefined ? undefined : join(resolve(keep), name);
    if (folder !== undefined) await mkdir(folder, { recursive: true });
    report("starting");
    const service = await STARTERS[name]!({ report, ...(folder === undefined ? {} : { folder }) });
    running.push(service);
    report(`ready at ${service.address} (pid ${service.pid}, log ${join(service.folder, "server.log")})`);
  }
}

function print(services: readonly LocalService[], keep: string | undefined): void {
  const lines = services.flatMap((service) => Object.entries(service.environment));
  process.stdout.write("\nTo use them, in another shell:\n\n");
  for (const [name, value] of lines) process.stdout.write(`export ${name}=${value}\n`);
  process.stdout.write(
    keep === undefined
      ? "\nCtrl-C stops them and removes their data.\n"
      : `\nCtrl-C stops them; their data stays in ${resolve(keep)}.\n`,
  );
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`${isSluiceError(error) ? error.code : "Error"}: ${messageOf(error)}\n`);
    process.exit(isSluiceError(error) ? error.exitCode : EXIT.failed);
  },
);
