import { setMaxListeners } from "node:events";
import type { ConnectionOptions } from "node:tls";
import kafkajs from "kafkajs";
import type { Admin, Kafka, SASLOptions } from "kafkajs";
import { SluiceError } from "../../../schemas/errors.js";
import { withRetries, type RetryEvent, type RetryPolicy, type Settled } from "../../bounded-retry.js";
import { registerCodecs, type Compression } from "./codecs.js";
import { clientsBroker, openBrokerSocket } from "./sockets.js";
import { isUnknownTopic, kafkaFailure, originOf, typeOf, type KafkaNeed } from "./errors.js";

export interface KafkaConnection {
  /** host:port of some brokers; they name the others. */
  readonly brokers: readonly string[];
  /** How this process appears in the brokers' logs, quotas and groups. Default "sluice". */
  readonly clientId?: string;
  /** true, or certificates and the like */
  readonly ssl?: boolean | ConnectionOptions;
  readonly sasl?: SASLOptions;
  /** How long a call goes on trying while brokers are away or moving, ms. Default 120,000: a restart of a broker. */
  readonly patienceMs?: number;
  /** The same for opening, so that a wrong address is said soon, ms. Default 5,000. */
  readonly openPatienceMs?: number;
  /** A broker that says nothing for this long is taken for gone, ms. Default 30,000. */
  readonly requestTimeoutMs?: number;
  /** How soon partitions that were added are noticed, ms. Default 10,000. */
  readonly metadataMaxAgeMs?: number;
  /** Of what is appended. Default none: images are compressed already. */
  readonly compression?: Compression;
  /** Called at every wait for a broker that failed. */
  readonly onRetry?: (event: RetryEvent) => void;
  /** Called where something has been done that had failed before. */
  readonly onSettled?: (doing: string, how: Settled) => void;
  /** Hears what the client itself has to say. */
  readonly onLog?: (line: string) => void;
}

/** Few and short: the outer retries, whose patience is known, rebuild what the client's own would go on using. */
const INNER_RETRY = { retries: 2, initialRetryTime: 50, maxRetryTime: 500 };

/** The connection's settings, and how requests are tried. */
export class KafkaClient {
  readonly kafka: Kafka;
  /** For people: the brokers */
  readonly place: string;
  readonly compression: Compression;
  readonly metadataMaxAgeMs: number;
  readonly patienceMs: number;
  readonly #connection: KafkaConnection;
  readonly #closed = new AbortController();
  readonly #topics = new Set<string>();
  #admin: Promise<Admin> | null = null;
  /** Whether a broker has let this client in */
  #isIn = false;

  constructor(connection: KafkaConnection) {
    registerCodecs();
    // Every call that waits for a broker that is away listens: as many as there are, not a leak.
    setMaxListeners(0, this.#closed.signal);
    this.#connection = connection;
    this.compression = connection.compression ?? "none";
    this.patienceMs = connection.patienceMs ?? 120_000;
    this.metadataMaxAgeMs = connection.metadataMaxAgeMs ?? 10_000;
    this.place = `kafka://${connection.brokers.join(",")}`;
    const { onLog } = connection;
    this.kafka = new kafkajs.Kafka({
      brokers: connection.brokers.map(clientsBroker),
      socketFactory: openBrokerSocket,
      clientId: connection.clientId ?? "sluice",
      ...(connection.ssl === undefined ? {} : { ssl: connection.ssl }),
      ...(connection.sasl === undefined ? {} : { sasl: connection.sasl }),
      connectionTimeout: 3_000,
      requestTimeout: connection.requestTimeoutMs ?? 30_000,
      retry: INNER_RETRY,
      logLevel: onLog === undefined ? kafkajs.logLevel.NOTHING : kafkajs.logLevel.WARN,
      logCreator:
        () =>
        ({ namespace, label, log: { message } }) => {
          onLog?.(`${label} ${namespace}: ${message}`);
        },
    });
  }

  get closed(): AbortSignal {
    return this.#closed.signal;
  }

  /** A topic that is made now may not be known to its brokers at once: it is waited for. */
  expect(topic: string): void {
    this.#topics.add(topic);
  }

  /**
   * Tries within bounds; what it throws is a SluiceError. A `topic` that was there before is expected to come back: a
   * broker that has just been started may not have heard of it yet. `needs`: the right that is missing where Kafka refuses.
   */
  async retrying<T>(
    doing: string,
    attempt: () => Promise<T>,
    options: { patienceMs?: number; signal?: AbortSignal; topic?: string; needs?: KafkaNeed } = {},
  ): Promise<T> {
    const { topic, needs } = options;
    return withRetries(this.policy(options), `${doing} in ${this.place}`, async () => {
      try {
        const result = await attempt();
        this.#isIn = true;
        if (topic !== undefined) this.#topics.add(topic);
        return result;
      } catch (error) {
        const failure = kafkaFailure(error, doing, this.place, needs);
        const isComing = isUnknownTopic(failure) && topic !== undefined && this.#topics.has(topic);
        if (!isComing && !this.#isRenewed(error)) throw failure;
        throw new SluiceError(failure.code, failure.message, { ...failure.context, cause: error, retryable: true });
      }
    });
  }

  /** A token may be over before its next one lies there; one that was never taken is wrong. */
  #isRenewed(error: unknown): boolean {
    const isToken = this.#connection.sasl?.mechanism === "oauthbearer";
    return this.#isIn && isToken && originOf(error).name === "KafkaJSSASLAuthenticationError";
  }

  policy({ patienceMs, signal }: { patienceMs?: number; signal?: AbortSignal } = {}): RetryPolicy {
    if (this.#closed.signal.aborted) {
      throw new SluiceError("E_LOG_IO", `Expected ${this.place} to be open, found it closed.`);
    }
    const { onRetry, onSettled } = this.#connection;
    return {
      patienceMs: patienceMs ?? this.patienceMs,
      firstDelayMs: 50,
      greatestDelayMs: 1_000,
      ...(onRetry === undefined ? {} : { onRetry }),
      ...(onSettled === undefined ? {} : { onSettled }),
      signal: signal === undefined ? this.#closed.signal : AbortSignal.any([signal, this.#closed.signal]),
    };
  }

  /** Checks that a broker answers and lets this client in. */
  async open(): Promise<void> {
    const patienceMs = this.#connection.openPatienceMs ?? 5_000;
    await this.administer("reach a broker", (admin) => admin.describeCluster(), { patienceMs });
  }

  /** Through one administrative connection, built anew after an error. */
  async administer<T>(
    doing: string,
    work: (admin: Admin) => Promise<T>,
    options: { patienceMs?: number; topic?: string; needs?: KafkaNeed } = {},
  ): Promise<T> {
    return this.retrying(
      doing,
      async () => {
        for (;;) {
          const used = this.#admin;
          const connecting = (this.#admin ??= this.#connectAdmin());
          try {
            return await work(await connecting);
          } catch (error) {
            if (this.#admin === connecting) this.#admin = null;
            void disconnectQuietly(connecting);
            // It may be another topic, of an earlier call, that is gone: the client asks for all of them each time.
            if (used === null || typeOf(error) !== "UNKNOWN_TOPIC_OR_PARTITION") throw error;
          }
        }
      },
      options,
    );
  }

  async #connectAdmin(): Promise<Admin> {
    const admin = this.kafka.admin();
    await admin.connect();
    return admin;
  }

  async close(): Promise<void> {
    this.#closed.abort();
    await disconnectQuietly(this.#admin);
    this.#admin = null;
  }
}

/** Lets go of a client whose connections may be broken: nothing is asked of them any more, so that their failures say nothing. */
export async function disconnectQuietly(client: Promise<{ disconnect(): Promise<void> }> | null): Promise<void> {
  await Promise.allSettled([client?.then((connected) => connected.disconnect())]);
}
