import { isUtf8 } from "node:buffer";
import type { IncomingMessage } from "node:http";
import { linesOf } from "../../../pipelines/gateway/sent-lines.js";
import { membersOf, type PassedMember } from "../../../pipelines/gateway/sent-tar.js";
import { tooLarge } from "../../../pipelines/gateway/intake.js";
import type { SentImage } from "../../../pipelines/gateway/sent-image.js";
import type { SluiceError } from "../../../schemas/errors.js";
import { Refusal } from "../refusal.js";
import type { BodyRoom } from "./body-room.js";

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
  const encoding = (headers["content-encoding"] ?? "identity").toLowerCase();
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

/** How many bytes an image of a request may take while it is read. What is packed may be longer than it says. */
export function imageBytes({ headers }: IncomingMessage, kind: BodyKind, maxImageBytes: number): number {
  const said = Number(headers["content-length"] ?? Number.NaN);
  return kind !== "tar" && Number.isSafeInteger(said) ? Math.min(said, maxImageBytes) : maxImageBytes;
}

/** What a request sends, one by one, as they come. */
export async function* sentIn(
  request: IncomingMessage,
  kind: BodyKind,
  maxImageBytes: number,
  room: BodyRoom,
): AsyncGenerator<SentImage | PassedMember | SluiceError> {
  const common = commonOf(request);
  // A body that is not read to its end still has an answer: the connection stays.
  const chunks = room.chunks(request.iterator({ destroyOnReturn: false }));
  if (kind === "lines") yield* linesOf(chunks, maxImageBytes);
  else if (kind === "tar") yield* membersOf(chunks, common, maxImageBytes);
  else yield await whole(chunks, common, maxImageBytes);
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
    if (typeof value !== "string" || value === "") return null;
    // Node gives bytes as characters. Those that are no UTF-8 stay as they are: two keys must not become one.
    const bytes = Buffer.from(value, "latin1");
    return isUtf8(bytes) ? bytes.toString() : value;
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
