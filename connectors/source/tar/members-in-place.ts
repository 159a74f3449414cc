import { open, type FileHandle } from "node:fs/promises";
import { fsPath, type BytePath } from "../byte-path.js";
import { inFlight, READS_AHEAD } from "../in-flight.js";
import type { OpenedImage } from "../source.js";
import type { AskedMember } from "./shard-members.js";
import { BLOCK_BYTES, isTarBlock, parseHeader, type TarHeader } from "./tar-header.js";
import { ABSENT } from "../../stat-if-there.js";
import { orNull } from "../../../schemas/errors.js";

/** A name field's length: a longer name stands there cut, and whole in a header before. */
const NAME_BYTES = 100;

/**
 * Members of a shard that is not packed, from where their uris say that they begin: nothing else of the shard is read. What is not
 * there, or is more than a plain file, goes to `left`. Whether the bytes are those that were seen is for the caller to know by their digest.
 */
export async function* membersInPlace(
  shard: BytePath,
  asked: readonly AskedMember[],
  left: AskedMember[],
): AsyncGenerator<OpenedImage, void, undefined> {
  const handle = await orNull(open(fsPath(shard), "r"), ...ABSENT, "EACCES", "EPERM", "EIO");
  if (handle === null) {
    // Why it does not open is said by what reads the rest.
    left.push(...asked);
    return;
  }
  try {
    const { size } = await handle.stat();
    const reads = inFlight(
      asked,
      READS_AHEAD,
      ({ sizeBytes }) => Math.min(sizeBytes, size),
      async (one) => ({ one, bytes: await plainFileAt(handle, size, one) }),
    );
    for await (const { one, bytes } of reads) {
      if (bytes === null) left.push(one);
      else yield { at: one.at, image: bytes };
    }
  } finally {
    await handle.close();
  }
}

/** A plain file's header is the block before its bytes: one read has both. */
async function plainFileAt(
  handle: FileHandle,
  shardBytes: number,
  { place, sizeBytes }: AskedMember,
): Promise<Uint8Array | null> {
  const { offset } = place;
  if (offset === null || offset < BLOCK_BYTES || offset + sizeBytes > shardBytes) return null;
  const bytes = Buffer.allocUnsafeSlow(BLOCK_BYTES + sizeBytes);
  for (let filled = 0; filled < bytes.length;) {
    const read = handle.read(bytes, filled, bytes.length - filled, offset - BLOCK_BYTES + filled);
    // What the disk cannot read is one image's: what reads the rest says so.
    const bytesRead = (await orNull(read, "EIO"))?.bytesRead ?? 0;
    if (bytesRead === 0) return null;
    filled += bytesRead;
  }
  const header = headerIn(bytes.subarray(0, BLOCK_BYTES));
  const isIt =
    header !== null &&
    /^[07]$/.test(header.type) &&
    header.sizeBytes === sizeBytes &&
    (header.name === place.name ||
      (place.name.length > NAME_BYTES && header.name !== "" && place.name.startsWith(header.name)));
  return isIt ? bytes.subarray(BLOCK_BYTES) : null;
}

/** null where the shard has other bytes there now */
function headerIn(block: Buffer): TarHeader | null {
  return isTarBlock(block) ? parseHeader(block) : null;
}
