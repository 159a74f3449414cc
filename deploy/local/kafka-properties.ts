/** What a small single broker on loopback needs to start in seconds, in 200 MB, and to come back quickly when killed. */
export interface BrokerPorts {
  readonly clients: number;
  readonly controller: number;
  /** Where clients log in, in addition to `clients`, where they need not */
  readonly sasl?: number;
  /** By name, where other listeners are */
  readonly others?: Readonly<Record<string, number>>;
}

/** One more listener, such as one with TLS. */
export interface BrokerListener {
  /** In capitals */
  readonly name: string;
  readonly protocol: "SSL" | "SASL_SSL";
  /** Its own settings, without `listener.name.<name>.` before them */
  readonly properties: Readonly<Record<string, string>>;
}

export interface SaslUser {
  readonly username: string;
  readonly password: string;
}

export function serverProperties(
  ports: BrokerPorts,
  folder: string,
  user: SaslUser | null,
  extra: Readonly<Record<string, string>>,
  others: readonly BrokerListener[] = [],
): string {
  const sasl = ports.sasl !== undefined && user !== null;
  const listeners = [`PLAINTEXT://127.0.0.1:${ports.clients}`, `CONTROLLER://127.0.0.1:${ports.controller}`];
  const protocols = ["PLAINTEXT:PLAINTEXT", "CONTROLLER:PLAINTEXT"];
  if (sasl) {
    listeners.push(`LOGIN://127.0.0.1:${ports.sasl}`);
    protocols.push("LOGIN:SASL_PLAINTEXT");
  }
  for (const { name, protocol } of others) {
    listeners.push(`${name}://127.0.0.1:${ports.others?.[name] ?? 0}`);
    protocols.push(`${name}:${protocol}`);
  }
  const ofOthers = others.flatMap(({ name, properties }) =>
    Object.entries(properties).map(([key, value]) => [`listener.name.${name.toLowerCase()}.${key}`, value] as const),
  );
  const advertised = listeners
    .filter((listener) => !listener.startsWith("CONTROLLER"))
    // Certificates are for a name.
    .map((listener) =>
      others.some(({ name }) => listener.startsWith(`${name}:`))
        ? listener.replace("127.0.0.1", "localhost")
        : listener,
    );
  const properties: Record<string, string> = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.quorum.voters": `1@127.0.0.1:${ports.controller}`,
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    listeners: listeners.join(","),
    "advertised.listeners": advertised.join(","),
    "listener.security.protocol.map": protocols.join(","),
    "log.dirs": `${folder}/data`,
    "auto.create.topics.enable": "false",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "num.network.threads": "1",
    "num.io.threads": "2",
    "log.cleaner.dedupe.buffer.size": "4194304",
    "log.index.size.max.bytes": "1048576",
    "controlled.shutdown.enable": "false",
    "metric.reporters": "",
    // A broker killed and started again is back in about 5 s with these, and in about 15 s without.
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "500",
    ...(sasl
      ? {
          "sasl.enabled.mechanisms": "PLAIN",
          "listener.name.login.plain.sasl.jaas.config": `org.apache.kafka.common.security.plain.PlainLoginModule required user_${user.username}="${user.password}";`,
        }
      : {}),
    ...Object.fromEntries(ofOthers),
    ...extra,
  };
  return Object.entries(properties)
    .map(([key, value]) => `${key}=${value}\n`)
    .join("");
}

/** Warnings, and the one line that says the broker is ready. */
export const LOG_PROPERTIES = `rootLogger.level=WARN
rootLogger.appenderRef.console.ref=console
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d %p %c %m%n
logger.ready.name=kafka.server.KafkaRaftServer
logger.ready.level=INFO
`;

export const READY_LINE = "Kafka Server started";
