import type { IncomingMessage } from "node:http";
import { linesOf } from "../../../pipelines/gateway/sent-lines.js";
import { membersOf, type PassedMember } from "../../../pipelines/gateway/sent-tar.js";
import { tooLarge } from "../../../pipelines/gateway/intake.js";
import type { SentImage } from "../../../pipelines/gateway/sent-image.js";
import type { SluiceError } from "../../../schemas/errors.js";
import { Refusal } from "../refusal.js";

/** What a body holds: one image, one JSON object a line, or a tar. */
export type BodyKind = "image" | "lines" | "tar";

const KINDS: readonly (readonly [RegExp, BodyKind])[] = [
  [/^application\/(x-ndjson|ndjson|jsonl|x-jsonlines)$/, "lines"],
  [/^application\/(x-tar|tar|x-gtar|x-compressed-tar|gzip|zstd)$/, "tar"],
  // What curl says by itself of --data-binary is not meant.
  [/^(image\/.+|application\/octet-stream|application\/x-www-form-urlencoded|)$/, "image"],
];

/** Throws a refusal of what is not read. */
export function bodyKind({ headers }: IncomingMessage): BodyKind {
  const type = (headers["content-type"] ?? "").split(";")[0]!.trim().toLowerCase();
  const encoding = headers["content-encoding"] ?? "identity";
  const kind = KINDS.find(([pattern]) => pattern.test(type))?.[1];
  if (kind !== undefined && encoding === "identity") return kind;
  const found =
    kind === undefined ? `Content-Type ${type.slice(0, 100)}` : `Content-Encoding ${encoding.slice(0, 100)}`;
  throw new Refusal(
    415,
    "E_USAGE",
    `Expected an image as it is in its file (image/…), one JSON object a line (application/x-ndjson), or a tar (application/x-tar), found ${found}. ` +
      "A file alone: `curl --data-binary @a.jpg`.",
  );
}

/** How many bytes of a request are held at a time: an image whole, of many one and what is being appended. What is packed may be longer than it says. */
export function heldBytes({ headers }: IncomingMessage, kind: BodyKind, maxImageBytes: number): number {
  const said = Number(headers["content-length"] ?? Number.NaN);
  const most = kind === "image" ? maxImageBytes : 2 * maxImageBytes;
  return kind !== "tar" && Number.isSafeInteger(said) ? Math.min(said, most) : most;
}

/** What a request sends, one by one, as they come. */
export async function* sentIn(
  request: IncomingMessage,
  kind: BodyKind,
  maxImageBytes: number,
): AsyncGenerator<SentImage | PassedMember | SluiceError> {
  const common = commonOf(request);
  const chunks = chunksOf(request);
  if (kind === "lines") yield* linesOf(chunks, maxImageBytes);
  else if (kind === "tar") yield* membersOf(chunks, common, maxImageBytes);
  else yield await whole(chunks, common, maxImageBytes);
}

/** A body that is not read to its end still has an answer: the connection stays. */
async function* chunksOf(request: IncomingMessage): AsyncGenerator<Uint8Array> {
  for await (const chunk of request.iterator({ destroyOnReturn: false })) yield chunk as Uint8Array;
}

/** Reads no further than an image may go. */
async function whole(
  chunks: AsyncIterable<Uint8Array>,
  common: SentImage,
  maxImageBytes: number,
): Promise<SentImage | SluiceError> {
  const pieces: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of chunks) {
    sizeBytes += chunk.length;
    if (sizeBytes > maxImageBytes) return tooLarge(sizeBytes, maxImageBytes);
    pieces.push(chunk);
  }
  return { ...common, bytes: Buffer.concat(pieces) };
}

/** What the request's headers say of its images, by the names that records of the topic have. */
function commonOf({ headers }: IncomingMessage): SentImage {
  const text = (name: string): string | null => {
    const value = headers[name];
    // Node gives bytes as characters; they are UTF-8.
    return typeof value === "string" && value !== "" ? Buffer.from(value, "latin1").toString() : null;
  };
  const time = text("sluice-event-time");
  if (time !== null && !/^\d{1,16}$/.test(time))
    throw new Refusal(400, "E_USAGE", `Expected ms since 1970 in sluice-event-time, found "${time.slice(0, 100)}".`);
  const key = text("idempotency-key");
  if (key !== null && key.length > 1000)
    throw new Refusal(400, "E_USAGE", `Expected an Idempotency-Key of at most 1000 characters, found ${key.length}.`);
  return {
    key,
    bytes: null,
    uri: text("sluice-uri"),
    eventTimeMs: time === null ? null : Number(time),
    licence: text("sluice-licence"),
    origin: text("sluice-origin"),
    traceparent: text("traceparent"),
  };
}
