import { z } from "zod";
import { decodeText } from "../../connectors/decode-text.js";
import { messageOf, SluiceError } from "../../schemas/errors.js";
import type { SentImage } from "./sent-image.js";

/** Characters that a sender's key, and what it says beside an image, may have */
export const MOST_CHARACTERS = 1000;
const MOST_OF_URI = 4096;
/** Of what is wrong with a line so many characters are told */
const FAULT_CHARACTERS = 300;

/** One line: where the image lies, or its bytes in base64. */
const lineSchema = z
  .strictObject({
    key: z.string().min(1).max(MOST_CHARACTERS).optional(),
    bytes: z.base64().optional(),
    uri: z.string().min(1).max(MOST_OF_URI).optional(),
    eventTimeMs: z.int().nonnegative().optional(),
    licence: z.string().max(MOST_CHARACTERS).optional(),
    origin: z.string().max(MOST_CHARACTERS).optional(),
  })
  .refine(({ bytes, uri }) => bytes !== undefined || uri !== undefined, "expected bytes (base64), or a uri, or both");

/** Base64 takes four characters for three bytes; the rest of a line is small. */
const OVERHEAD = 64 * 1024;

/** The images of a body with one JSON object a line. A line that is none is given as what is wrong with it. */
export async function* linesOf(
  chunks: AsyncIterable<Uint8Array>,
  maxImageBytes: number,
): AsyncGenerator<SentImage | SluiceError> {
  const maxLineBytes = Math.ceil((maxImageBytes * 4) / 3) + OVERHEAD;
  let number = 0;
  let pieces: Uint8Array[] = [];
  let sizeBytes = 0;
  const line = (): SentImage | SluiceError | null => {
    number++;
    const made =
      sizeBytes > maxLineBytes
        ? refused("E_IMAGE_SIZE", number, `at most ${maxLineBytes} bytes`, `${sizeBytes}`)
        : lineOf(Buffer.concat(pieces), number);
    pieces = [];
    sizeBytes = 0;
    return made;
  };
  for await (const chunk of chunks) {
    let rest = chunk;
    for (let at = rest.indexOf(10); at >= 0; at = rest.indexOf(10)) {
      add(rest.subarray(0, at));
      const made = line();
      if (made !== null) yield made;
      rest = rest.subarray(at + 1);
    }
    add(rest);
  }
  if (sizeBytes > 0) {
    const made = line();
    if (made !== null) yield made;
  }

  /** What is beyond the greatest length is counted, and not held. */
  function add(piece: Uint8Array): void {
    sizeBytes += piece.length;
    if (sizeBytes <= maxLineBytes) pieces.push(piece);
    else pieces = [];
  }
}

/** null of an empty line */
function lineOf(bytes: Uint8Array, number: number): SentImage | SluiceError | null {
  const text = decodeText(bytes);
  if (text === null) return refused("E_RECORD_SCHEMA", number, "JSON in UTF-8", "other bytes");
  if (text.trim() === "") return null;
  try {
    const { key, bytes, uri, eventTimeMs, licence, origin } = lineSchema.parse(JSON.parse(text));
    return {
      key: key ?? null,
      bytes: bytes === undefined ? null : Buffer.from(bytes, "base64"),
      uri: uri ?? null,
      eventTimeMs: eventTimeMs ?? null,
      licence: licence ?? null,
      origin: origin ?? null,
      traceparent: null,
    };
  } catch (cause) {
    const fault = cause instanceof z.ZodError ? z.prettifyError(cause) : messageOf(cause);
    return refused(
      "E_RECORD_SCHEMA",
      number,
      "an image as JSON",
      fault.slice(0, FAULT_CHARACTERS).replaceAll(/\s+/g, " "),
    );
  }
}

function refused(
  code: "E_RECORD_SCHEMA" | "E_IMAGE_SIZE",
  number: number,
  expected: string,
  found: string,
): SluiceError {
  return new SluiceError(code, `Expected ${expected} in line ${number}, found ${found}.`, { line: number });
}
