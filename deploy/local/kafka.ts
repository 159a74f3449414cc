import { randomBytes } from "node:crypto";
import { rename, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Report } from "./cache.js";
import { cacheFolder } from "../../connectors/cache-folder.js";
import { run } from "./command.js";
import {
  LOG_PROPERTIES,
  READY_LINE,
  serverProperties,
  type BrokerListener,
  type SaslUser,
} from "./kafka-properties.js";
import { requirePrograms, serviceFolder, startService, type LocalService, type StartOptions } from "./local-service.js";
import { classPath, type JarSet } from "./maven-jars.js";
import { freePort } from "./server-process.js";

const LOG4J = ["org.apache.logging.log4j:log4j-slf4j-impl:2.25.3", "org.apache.logging.log4j:log4j-core:2.25.3"];

const BROKER: JarSet = {
  name: "kafka",
  version: "4.4.0",
  artifacts: ["org.apache.kafka:kafka_2.13:4.4.0", ...LOG4J],
  sha256: "d6acbd4d96f6d1f3cf7e4cb7b6ec9c6ada09fe8e0c05c3effb7b93b7dec5e522",
  takes: "43 MB, about 20 s",
};

/** Kafka's own command line tools (4.4.0 of them was not to be had). */
const TOOLS: JarSet = {
  name: "kafka-tools",
  version: "4.3.1",
  artifacts: ["org.apache.kafka:kafka-tools:4.3.1", ...LOG4J],
  excluded: ["org.apache.kafka:connect-runtime", "org.apache.kafka:connect-api", "org.apache.kafka:connect-json"],
  sha256: "b50cdf6347179dda5c0df1e4119a197364b5a81a3a17aaf9ebd49226bb295a4c",
  takes: "about 20 s",
};

const BROKER_MEMORY = ["-Xms96m", "-Xmx192m", "-Xss512k", "-XX:MaxDirectMemorySize=64m"];
const SMALL_JVM = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];

export interface KafkaOptions extends StartOptions {
  /** Opens a second listener on which clients log in with SASL/PLAIN. */
  readonly user?: SaslUser;
  /** Broker settings on top of those of kafka-properties.ts */
  readonly properties?: Readonly<Record<string, string>>;
  /** More listeners, at localhost */
  readonly listeners?: readonly BrokerListener[];
  /** Who may log in by SCRAM-SHA-512 where a listener offers it */
  readonly scram?: SaslUser;
}

export interface LocalKafka extends LocalService {
  /** host:port of the listener that asks for a login, where `user` was given */
  readonly loginAddress: string | null;
  /** host:port of each of `listeners`, by name */
  readonly addresses: Readonly<Record<string, string>>;
}

/** Fetches where needed, then starts one Kafka broker (KRaft). Throws E_SERVICE. */
export async function startKafka(options: KafkaOptions = {}): Promise<LocalKafka> {
  const report = options.report ?? (() => undefined);
  await requirePrograms("run Kafka", ["java"]);
  const jars = await classPath(BROKER, report);
  const archive = await classDataArchive(jars, report);
  const folder = await serviceFolder("kafka", options.folder);
  const saslPort = options.user === undefined ? null : await freePort();
  const listeners = options.listeners ?? [];
  const others: Record<string, number> = {};
  for (const { name } of listeners) others[name] = await freePort();
  const service = await startService(
    options,
    async (port) => {
      await configure(folder, jars, {
        ports: {
          clients: port,
          controller: await freePort(),
          others,
          ...(saslPort === null ? {} : { sasl: saslPort }),
        },
        user: options.user ?? null,
        listeners,
        scram: options.scram ?? null,
        properties: options.properties ?? {},
      });
      return {
        name: "Kafka",
        program: "java",
        args: [
          ...BROKER_MEMORY,
          ...SMALL_JVM,
          // An archive that does not fit the JVM is passed over by itself.
          ...(archive === null ? [] : [`-XX:SharedArchiveFile=${archive}`, "-Xlog:cds=off", "-Xlog:cds+dynamic=off"]),
          "-Dlog4j2.configurationFile=log4j2.properties",
          "-cp",
          jars,
          "kafka.Kafka",
          "server.properties",
        ],
        folder,
        ready: async (log) => log.includes(READY_LINE),
      };
    },
    (address) => ({ SLUICE_KAFKA__BROKERS: address }),
  );
  const addresses = Object.fromEntries(Object.entries(others).map(([name, port]) => [name, `localhost:${port}`]));
  return Object.assign(service, { loginAddress: saslPort === null ? null : `127.0.0.1:${saslPort}`, addresses });
}

/**
 * Runs one of Kafka's own tools by its class name and returns what it prints. For example
 * `kafkaTool("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", ["--bootstrap-server", address, "--list"])`.
 */
export async function kafkaTool(className: string, args: readonly string[], input?: string): Promise<string> {
  await requirePrograms("run Kafka's tools", ["java"]);
  const jars = await classPath(TOOLS, () => undefined);
  return run("java", ["-Xmx128m", ...SMALL_JVM, "-cp", jars, className, ...args], {
    folder: cacheFolder(),
    doing: className,
    ...(input === undefined ? {} : { input }),
  });
}

type Settings = {
  readonly ports: Parameters<typeof serverProperties>[0];
  readonly user: SaslUser | null;
  readonly properties: Readonly<Record<string, string>>;
  readonly listeners?: readonly BrokerListener[];
  readonly scram?: SaslUser | null;
};

/** Writes the settings, and formats the data folder where that has not been done. */
async function configure(folder: string, jars: string, settings: Settings): Promise<void> {
  const { ports, user, properties, listeners, scram = null } = settings;
  await writeFile(join(folder, "server.properties"), serverProperties(ports, folder, user, properties, listeners));
  await writeFile(join(folder, "log4j2.properties"), LOG_PROPERTIES);
  if ((await stat(join(folder, "data", "meta.properties")).catch(() => null)) !== null) return;
  const id = `A${randomBytes(16).toString("base64url").slice(1)}`;
  const args = ["kafka.tools.StorageTool", "format", "-t", id, "-c", "server.properties"];
  if (scram !== null) args.push("--add-scram", `SCRAM-SHA-512=[name=${scram.username},password=${scram.password}]`);
  await run("java", ["-Xmx128m", ...SMALL_JVM, "-Dlog4j2.configurationFile=log4j2.properties", "-cp", jars, ...args], {
    folder,
    doing: "formatting Kafka's data folder",
  });
}

/**
 * A dump of the broker's loaded classes, made once by starting and stopping one: it keeps later starts near 3 s also on a
 * busy machine. Null where the JVM cannot make one.
 */
async function classDataArchive(jars: string, report: Report): Promise<string | null> {
  const version = /version "([^"]+)"/.exec(await javaVersion())?.[1];
  if (version === undefined) return null;
  const archive = join(cacheFolder(), `kafka-${BROKER.version}-${BROKER.sha256.slice(0, 8)}-java-${version}.jsa`);
  if ((await stat(archive).catch(() => null)) !== null) return archive;
  report("starting Kafka once to learn its classes (once; about 10 s)");
  const partial = `${archive}.${process.pid}.${randomBytes(4).toString("hex")}`;
  const folder = await serviceFolder("kafka-classes");
  const service = await startService(
    {},
    async (port) => {
      await configure(folder, jars, {
        ports: { clients: port, controller: await freePort() },
        user: null,
        properties: {},
      });
      return {
        name: "Kafka",
        program: "java",
        args: [
          ...BROKER_MEMORY,
          ...SMALL_JVM,
          `-XX:ArchiveClassesAtExit=${partial}`,
          "-Dlog4j2.configurationFile=log4j2.properties",
          "-cp",
          jars,
          "kafka.Kafka",
          "server.properties",
        ],
        folder,
        ready: async (log) => log.includes(READY_LINE),
      };
    },
    () => ({}),
  );
  await service.stop();
  return rename(partial, archive).then(
    () => archive,
    () => null,
  );
}

async function javaVersion(): Promise<string> {
  return run("sh", ["-c", "java -version 2>&1"], { folder: "/", doing: "asking for Java's version" });
}
