import { objectReasons } from "../../connectors/source/bucket-object.js";
import { bytePath, percentEncode, shownPath } from "../../connectors/source/byte-path.js";
import { ChunkRun } from "../../connectors/source/tar/byte-run.js";
import { packingOf, unpackerOf } from "../../connectors/source/tar/packing.js";
import { TarMembers } from "../../connectors/source/tar/tar-members.js";
import { messageOf, SluiceError } from "../../schemas/errors.js";
import type { PassedOverReason } from "../../schemas/source-account.js";
import { tooLarge } from "./intake.js";
import type { SentImage } from "./sent-image.js";
import { MOST_CHARACTERS } from "./sent-lines.js";

/** A member that is no image of a source */
export interface PassedMember {
  readonly passedOver: PassedOverReason;
  readonly name: string;
}

const reasonAgainst = objectReasons(undefined);

/**
 * The images of a body that is a tar, packed with gzip or zstd or not, from the first to the last; nothing is unpacked to a place. `common`: what holds for
 * all of them; its key, with a member's name behind it, is the member's. Throws E_SOURCE_READ where the tar breaks off.
 */
export async function* membersOf(
  chunks: AsyncGenerator<Uint8Array>,
  common: SentImage,
  maxImageBytes: number,
): AsyncGenerator<SentImage | PassedMember | SluiceError> {
  const run = new ChunkRun(unpacked(chunks));
  const members = new TarMembers(run, null);
  try {
    for (let member = await members.next(); member !== null; member = await members.next()) {
      const path = member.name.replace(/^(?:\.\/+)+/, "");
      const shown = shownPath(path);
      // Names that are no UTF-8 stay apart from each other.
      const name = bytePath(shown) === path ? shown : percentEncode(path);
      const reason = member.kind === "file" ? reasonAgainst(name) : member.kind === "folder" ? "folderMark" : "notFile";
      const key = common.key === null ? null : `${common.key}/${name}`;
      if (reason !== null) {
        // A folder of a tar is a mark, and nothing of the sender's.
        if (reason !== "folderMark") yield { passedOver: reason, name };
      } else if (member.sizeBytes > maxImageBytes) {
        const { code, message } = tooLarge(member.sizeBytes, maxImageBytes);
        yield new SluiceError(code, `${message} It is ${name.slice(0, 300)}.`, { name });
      } else if (key !== null && key.length > MOST_CHARACTERS) {
        yield new SluiceError(
          "E_RECORD_SCHEMA",
          `Expected an Idempotency-Key and a member's name of together at most ${MOST_CHARACTERS} characters, found ${key.length} with ${name.slice(0, 100)}….`,
        );
      } else {
        yield {
          ...common,
          key,
          bytes: await members.read(),
          eventTimeMs: common.eventTimeMs ?? (member.mtimeMs > 0 ? Math.floor(member.mtimeMs) : null),
          uri: null,
          traceparent: null,
        };
      }
    }
  } catch (cause) {
    if (cause instanceof SluiceError) throw cause;
    throw new SluiceError(
      "E_SOURCE_READ",
      `Expected a whole tar, found that ${messageOf(cause)}. What lies before was taken; send all of it again, with the same Idempotency-Key.`,
      { cause },
    );
  } finally {
    await run.close();
  }
}

/** Told by the first bytes, as for shards. Throws E_SOURCE_READ for a packing that is not read. */
async function* unpacked(chunks: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
  const first = await chunks.next();
  if (first.done === true) return;
  const whole = async function* (): AsyncGenerator<Uint8Array> {
    yield first.value;
    yield* chunks;
  };
  const packing = packingOf(first.value);
  if (packing === "none") {
    yield* whole();
    return;
  }
  const unpack = unpackerOf(packing);
  if (unpack === undefined)
    throw new SluiceError(
      "E_SOURCE_READ",
      `Expected a tar, packed with gzip or zstd or not, found one packed with ${packing}.`,
    );
  yield* unpack(whole());
}
