import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { codeOf, messageOf, SluiceError } from "../schemas/errors.js";
import type { Config } from "../schemas/config.js";
import type { KafkaConfig } from "../schemas/kafka-config.js";
import type { S3Config } from "../schemas/s3-config.js";
import { counted } from "../schemas/counted.js";
import type { CheckLine } from "./check.js";
import { checkTopics, declaredTopics } from "./kafka/topics.js";
import { openBucket, openImageBuckets, serverPlace } from "./open/open-bucket.js";
import { openKafka } from "./open/open-kafka.js";

/** S3 refuses requests from a clock that is 15 minutes off; event times and retention are wrong long before. */
const GREATEST_SKEW_MS = 15 * 60_000;
const NOTABLE_SKEW_MS = 30_000;
/** The server's clock is told to the second. */
const CLOCK_STEP_MS = 1_000;

/**
 * Tries the servers and places that the configuration names. In the bucket a few small objects are written below `checks/` and
 * `probe-conditional/`, and deleted again; nothing else is changed.
 */
export async function* checkServices(config: Config, nowMs: () => number): AsyncGenerator<CheckLine> {
  if (config.kafka !== undefined) yield* brokerLines(config, config.kafka);
  if (config.s3 !== undefined) yield* bucketLines(config.s3, nowMs);
  for (const root of config.sources.allow?.roots ?? []) yield await rootLine(root);
  for (const place of config.sources.allow?.buckets ?? []) yield await imageBucketLine(place, config.s3);
}

async function* brokerLines(config: Config, kafka: KafkaConfig): AsyncGenerator<CheckLine> {
  try {
    const log = await openKafka(kafka);
    try {
      yield { subject: "broker", state: "ok", message: `${kafka.brokers} answers, and lets this client in` };
      const topics = declaredTopics(config, kafka);
      const found = await checkTopics(log, topics);
      for (const { topic, state, message } of found) {
        const line = { subject: "topics", state, message: `${topic}: ${message}` } as const;
        yield state === "fail" ? { ...line, code: "E_LOG_IO" } : line;
      }
      if (found.length === 0)
        yield { subject: "topics", state: "ok", message: `${counted(topics.length, "topic")} as they are needed` };
    } finally {
      await log.close();
    }
  } catch (error) {
    yield failure("broker", error);
  }
}

async function* bucketLines(s3: S3Config, nowMs: () => number): AsyncGenerator<CheckLine> {
  const subject = "bucket";
  const askedMs = nowMs();
  const { serverTimeMs } = await import("../connectors/store/s3/server-clock.js");
  const toldMs = await serverTimeMs(serverPlace(s3));
  if (toldMs !== null) yield clockLine(toldMs, askedMs, nowMs());
  try {
    const store = await openBucket(s3);
    try {
      const key = `checks/${randomUUID()}`;
      const bytes = Buffer.from("written by `sluice check`, which deletes it");
      await tried("list objects", "s3:ListBucket", () => store.list("checks/")[Symbol.asyncIterator]().next());
      await tried("write objects", "s3:PutObject", () => store.put(key, bytes));
      await tried("read objects", "s3:GetObject", () => store.get(key));
      await tried("delete objects", "s3:DeleteObject", () => store.delete(key));
      await store.probeConditionalWrites();
      yield {
        subject,
        state: "ok",
        message: `${store.place} can be listed, written, read and deleted from; of writers that race for a key one wins`,
      };
    } finally {
      await store.close();
    }
  } catch (error) {
    yield failure(subject, error);
  }
}

/** Names what could not be done, and the permission that it takes. */
async function tried(doing: string, permission: string, work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof SluiceError)) throw error;
    const isRefused = error.code === "E_STORE_ACCESS" || error.code === "E_STORE_READONLY";
    const needs = isRefused ? ` It takes the permission ${permission}.` : "";
    throw new SluiceError(error.code, `expected to ${doing}, found: ${error.message}${needs}`, { cause: error });
  }
}

/** `fromMs` and `untilMs`: this machine's time before and after the server was asked */
export function clockLine(toldMs: number, fromMs: number, untilMs: number): CheckLine {
  const behindMs = toldMs > untilMs ? toldMs - untilMs : Math.min(0, toldMs + CLOCK_STEP_MS - fromMs);
  const skewMs = Math.abs(behindMs);
  const message = `this machine's clock is ${(skewMs / 1000).toFixed(0)} s ${behindMs > 0 ? "behind" : "ahead of"} the object store's`;
  if (skewMs >= GREATEST_SKEW_MS)
    return {
      subject: "clock",
      state: "fail",
      message: `${message}: requests are refused from 15 minutes on. Set it (NTP)`,
      code: "E_STORE_ACCESS",
    };
  if (skewMs >= NOTABLE_SKEW_MS)
    return { subject: "clock", state: "warn", message: `${message}: event times and windows are off by as much` };
  return { subject: "clock", state: "ok", message: "as the object store's" };
}

async function rootLine(root: string): Promise<CheckLine> {
  const subject = "sources";
  try {
    const found = await stat(root);
    await access(root, found.isDirectory() ? constants.R_OK | constants.X_OK : constants.R_OK);
    return { subject, state: "ok", message: `${root} can be read` };
  } catch (error) {
    const code = codeOf(error) ?? messageOf(error);
    const message = `expected to read ${root} (sources.allow.roots), found ${code}: images there cannot be opened on this machine`;
    return { subject, state: "warn", message };
  }
}

async function imageBucketLine(place: string, s3: S3Config | undefined): Promise<CheckLine> {
  const subject = "sources";
  const [bucket = "", ...rest] = place.split("/");
  const buckets = openImageBuckets(s3);
  const cannot = (found: string): CheckLine => ({
    subject,
    state: "warn",
    message: `expected to list s3://${place} (sources.allow.buckets), found ${found}`,
  });
  if (buckets === undefined) return cannot("no s3: in the configuration, whose server and keys it is read with");
  try {
    const hasAny = await buckets.hasAny(bucket, rest.join("/"));
    const message = hasAny ? "can be listed" : "can be listed, and has nothing yet";
    return { subject, state: "ok", message: `s3://${place} ${message}` };
  } catch (error) {
    if (!(error instanceof SluiceError)) throw error;
    return cannot(`that it cannot be: ${error.message}`);
  }
}

function failure(subject: string, error: unknown): CheckLine {
  if (!(error instanceof SluiceError)) throw error;
  return { subject, state: "fail", message: error.message, code: error.code };
}
