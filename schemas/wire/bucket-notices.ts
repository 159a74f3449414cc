import { z } from "zod";
import { messageOf, SluiceError } from "../errors.js";
import type { StoredRecord } from "../image-record.js";
import { jsonOf, type RecordPlace } from "./format-version.js";

/** What became of one object of a bucket, as its server tells it. */
export interface BucketNotice {
  readonly what: "created" | "removed" | "other";
  /** In the server's words, such as s3:ObjectCreated:Put */
  readonly event: string;
  readonly bucket: string;
  /** As the bucket has it, without percent-encoding */
  readonly key: string;
  readonly timeMs: number;
}

const timeText = z.string().refine((text) => !Number.isNaN(Date.parse(text)), "expected a time");

/** What Amazon S3, MinIO and others send: keys are form-encoded, of MinIO with their slashes. */
const recordsSchema = z.object({
  Records: z.array(
    z.object({
      eventName: z.string(),
      eventTime: timeText,
      s3: z.object({ bucket: z.object({ name: z.string().min(1) }), object: z.object({ key: z.string().min(1) }) }),
    }),
  ),
});
/** The same by EventBridge, whose keys are as they are. */
const bridgedSchema = z.object({
  "detail-type": z.string(),
  time: timeText,
  detail: z.object({ bucket: z.object({ name: z.string().min(1) }), object: z.object({ key: z.string().min(1) }) }),
});
/** What S3 sends once, when notifications are set up */
const testSchema = z.object({ Event: z.literal("s3:TestEvent") });
/** The same by SNS, which wraps the text; its other types ask for a confirmation. */
const wrappedSchema = z.object({ Type: z.string(), Message: z.string() });

/**
 * Reads a record of a topic that a bucket's notifications go to: one or several notices; none for a message that only tries the way.
 * Throws E_RECORD_SCHEMA.
 */
export function decodeBucketNotices(record: StoredRecord, place: RecordPlace): readonly BucketNotice[] {
  try {
    return noticesIn(jsonOf(record));
  } catch (cause) {
    const fault = cause instanceof z.ZodError ? z.prettifyError(cause) : messageOf(cause);
    throw new SluiceError(
      "E_RECORD_SCHEMA",
      `Expected a bucket's notification (the JSON of Amazon S3, MinIO or EventBridge) at ${place.topic}/${place.partition}/${record.offset}, found something else: ` +
        `${fault.replaceAll(/\s+/g, " ")}. Find out who else writes to the topic.`,
      { cause },
    );
  }
}

function noticesIn(value: unknown): BucketNotice[] {
  if (testSchema.safeParse(value).success) return [];
  const wrapped = wrappedSchema.safeParse(value);
  if (wrapped.success) return wrapped.data.Type === "Notification" ? noticesIn(JSON.parse(wrapped.data.Message)) : [];
  if (isObject(value) && "detail-type" in value) {
    const { "detail-type": event, time, detail } = bridgedSchema.parse(value);
    return [notice(event, detail.bucket.name, detail.object.key, time)];
  }
  return recordsSchema
    .parse(value)
    .Records.map(({ eventName, eventTime, s3 }) =>
      notice(eventName, s3.bucket.name, decodeURIComponent(s3.object.key.replaceAll("+", " ")), eventTime),
    );
}

function notice(event: string, bucket: string, key: string, time: string): BucketNotice {
  const what = /ObjectCreated:|^Object Created$/.test(event)
    ? "created"
    : /ObjectRemoved:|LifecycleExpiration:|^Object Deleted$/.test(event)
      ? "removed"
      : "other";
  return { what, event, bucket, key, timeMs: Date.parse(time) };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
