import { z } from "zod";
import { DEFAULT_PREFIX, TOPIC_ROLES, topicName, type TopicRole } from "./kafka-names.js";

const ownName = z
  .string()
  .regex(/^[a-zA-Z0-9._-]{1,249}$/, "expected letters, digits, dot, dash, underscore")
  .optional();

/** What is wrong with a broker's address; null for nothing. */
function brokerFault(broker: string): string | null {
  const [, scheme, rest] = /^([a-z0-9_+]+):\/\/(.*)$/i.exec(broker) ?? [];
  if (scheme !== undefined) {
    const tls = /ssl|tls/i.test(scheme) ? ", with kafka.tls: true" : "";
    const sasl = /sasl/i.test(scheme) ? " and a login in kafka.sasl" : "";
    return `expected host:port without the listener's protocol, found ${broker}: say ${rest ?? ""}${tls}${sasl}`;
  }
  const [, host, port] = /^(\[[0-9a-f:.]+\]|[^\s:[\]/@]+):(\d{1,5})$/i.exec(broker) ?? [];
  if (host !== undefined && Number(port) > 0 && Number(port) < 65_536) return null;
  if (broker === "") return "expected host:port between the commas, found nothing";
  if (/^[0-9a-f]*:[0-9a-f:.]*$/i.test(broker) && broker.split(":").length > 2)
    return `expected an IPv6 address in brackets and a port, such as [::1]:9092, found ${broker}`;
  return /:\d+$/.test(broker) || broker.includes(":")
    ? `expected host:port with a port from 1 to 65535, found ${broker}`
    : `expected host:port, such as ${/^\S+$/.test(broker) ? broker : "kafka"}:9092, found ${broker}`;
}

/** A batch of records has 64 KiB of it at least, beside its headers. */
export const LEAST_MESSAGE_BYTES = 128 * 1024;

/** Brokers and their documents write them in capitals. */
const MECHANISMS = ["plain", "scram-sha-256", "scram-sha-512", "oauthbearer"] as const;

/** Where the log is a Kafka cluster. */
export const kafkaSchema = z.strictObject({
  brokers: z
    .string()
    .min(1)
    .superRefine((brokers, context) => {
      for (const broker of brokers.split(",")) {
        const message = brokerFault(broker.trim());
        if (message !== null) context.addIssue({ code: "custom", message });
      }
    })
    .describe("host:port of some brokers, or [IPv6]:port, separated by commas; they name the others"),
  tls: z
    .union([
      z.boolean(),
      z
        .strictObject({
          ca: z
            .string()
            .min(1)
            .optional()
            .describe(
              "PEM file of the authority that signed the brokers' certificates; by default those that Node knows",
            ),
          cert: z
            .string()
            .min(1)
            .optional()
            .describe("PEM file of this client's certificate, where brokers ask for one"),
          key: z.string().min(1).optional().describe("PEM file of its key"),
          serverName: z
            .string()
            .min(1)
            .optional()
            .describe("the name that the brokers' certificates have, where it is not the one in `brokers`"),
        })
        .superRefine(({ cert, key }, context) => {
          const path = cert === undefined ? "cert" : "key";
          if ((cert === undefined) !== (key === undefined))
            context.addIssue({
              code: "custom",
              path: [path],
              message: "expected certificate and key together, found one",
            });
        }),
    ])
    .default(false)
    .describe("true: connections are encrypted; or the files that it takes, relative to this file"),
  clientId: z
    .string()
    .regex(/^[a-zA-Z0-9._-]{1,249}$/, "expected letters, digits, dot, dash, underscore")
    .default("sluice")
    .describe("how this process appears in the brokers' logs and quotas"),
  sasl: z
    .strictObject({
      mechanism: z
        .enum(MECHANISMS.flatMap((name) => [name, name.toUpperCase() as Uppercase<typeof name>]))
        .default("plain")
        .transform((name) => name.toLowerCase() as (typeof MECHANISMS)[number])
        .describe("how to log in"),
      username: z.string().min(1).optional().describe("who logs in; not with oauthbearer"),
      password: z.string().optional().describe("better in the environment: SLUICE_KAFKA__SASL__PASSWORD"),
      tokenFile: z
        .string()
        .min(1)
        .optional()
        .describe("with oauthbearer: a file that has the token, read at every connection; relative to this file"),
      tokenCommand: z
        .string()
        .min(1)
        .optional()
        .describe("with oauthbearer, in place of the file: a shell command that prints the token"),
    })
    .superRefine(({ mechanism, username, password, tokenFile, tokenCommand }, context) => {
      const refuse = (path: string, message: string): void => {
        context.addIssue({ code: "custom", path: [path], message });
      };
      const isToken = mechanism === "oauthbearer";
      if (isToken && (tokenFile === undefined) === (tokenCommand === undefined))
        refuse("tokenFile", "expected either tokenFile or tokenCommand with oauthbearer");
      if (!isToken && username === undefined) refuse("username", "expected who logs in, found nothing");
      if (!isToken && password === undefined)
        refuse("password", "expected the password, found nothing: SLUICE_KAFKA__SASL__PASSWORD");
    })
    .optional()
    .describe("the login, where the brokers ask for one"),
  replicationFactor: z.int().positive().default(1).describe("copies of topics that are created; a cluster wants 3"),
  shards: z
    .int()
    .positive()
    .max(65_536)
    .default(1)
    .describe("class shards: partitions of the candidates topic, each kept by one top-K worker"),
  maxMessageBytes: z
    .int()
    .min(LEAST_MESSAGE_BYTES)
    .default(4 * 1024 * 1024)
    .describe("the largest message that topics take"),
  inlineBytes: z
    .int()
    .nonnegative()
    .default(1024 * 1024)
    .describe("`sluice produce` sends images up to this size inside the message, larger ones by reference"),
  imagesRetentionMs: z
    .int()
    .min(-1)
    .default(-1)
    .describe("how long the images topic keeps a message, ms; -1: for ever"),
  oneMachine: z
    .boolean()
    .default(false)
    .describe(
      "all processes of the stream run on this machine with this data folder: `sluice run` then takes a store that lies in it",
    ),
  prefix: z
    .string()
    .regex(/^[a-zA-Z0-9._-]{0,100}$/, "expected letters, digits, dot, dash, underscore; at most 100")
    .default(DEFAULT_PREFIX)
    .describe("begins the names of groups and topics, before the stream's: another one for staging beside production"),
  topics: z
    .strictObject({
      candidates: ownName.describe("what segments give the class shards"),
      thresholds: ownName.describe("below what the class shards need nothing"),
      labels: ownName.describe("what people say that images are"),
      versions: ownName.describe("which versions were published"),
      quarantine: ownName.describe("what could not be used"),
      store: ownName.describe("which store the stream's archive lies in"),
      cursors: ownName.describe("up to where producers have read their sources"),
      events: ownName.describe("what buckets tell of what is uploaded, for `sluice run watch`; it is made elsewhere"),
    })
    .prefault({})
    .describe(
      "names of the topics beside the images topic, which is `stream`; by default `kafka.prefix`, the stream and what it is for, such as `sluice-images-labels`",
    ),
});
type KafkaSettings = z.infer<typeof kafkaSchema>;

/** The settings, with every topic's name. */
export type KafkaConfig = Omit<KafkaSettings, "topics"> & {
  readonly topics: Readonly<Record<TopicRole | "events", string>>;
};

/** Topics that nobody has named are called after the stream. */
export function withTopicNames(kafka: KafkaSettings, stream: string): KafkaConfig {
  const roles = [...TOPIC_ROLES, "events"] as const;
  const names = roles.map((role) => [role, kafka.topics[role] ?? topicName(kafka.prefix, stream, role)] as const);
  return { ...kafka, topics: Object.fromEntries(names) as KafkaConfig["topics"] };
}
