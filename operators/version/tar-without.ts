import { SluiceError } from "../../schemas/errors.js";
import { TAR_END, tarEntryBytes } from "./tar-entry.js";

const BLOCK = 512;

/**
 * A shard of ours (ustar, names without folders) without the files of some samples: what is before the first dot of a file's name
 * names its sample. All others are as they were, byte by byte; `onKept` is told of each. Memory holds one block and what came of the stream.
 */
export async function* tarWithout(
  shard: AsyncIterable<Uint8Array>,
  samples: ReadonlySet<string>,
  key: string,
  onKept: (name: string) => void = () => undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  let held: Uint8Array = new Uint8Array(0);
  /** Bytes of the entry that are still to come, and whether they are passed on */
  let left = 0;
  let isKept = true;
  for await (const chunk of shard) {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    for (;;) {
      if (left > 0) {
        const part = held.subarray(0, Math.min(left, held.length));
        if (isKept && part.length > 0) yield part;
        left -= part.length;
        held = held.subarray(part.length);
        if (left > 0) break;
      }
      if (held.length < BLOCK) break;
      const header = held.subarray(0, BLOCK);
      if (header[0] === 0) {
        yield TAR_END;
        return;
      }
      const { name, sizeBytes } = headerOf(header, key);
      isKept = !samples.has(name.slice(0, Math.max(0, name.indexOf("."))));
      if (isKept) onKept(name);
      left = tarEntryBytes(sizeBytes);
    }
  }
  throw corrupt(key, "it ends within an entry");
}

function headerOf(header: Uint8Array, key: string): { readonly name: string; readonly sizeBytes: number } {
  const text = (from: number, to: number): string => {
    const bytes = header.subarray(from, to);
    const end = bytes.indexOf(0);
    return Buffer.from(end < 0 ? bytes : bytes.subarray(0, end)).toString("latin1");
  };
  const sizeBytes = parseInt(text(124, 136), 8);
  if (text(257, 263) !== "ustar" || !Number.isSafeInteger(sizeBytes)) throw corrupt(key, "a header of another kind");
  return { name: text(0, 100), sizeBytes };
}

function corrupt(key: string, found: string): SluiceError {
  return new SluiceError(
    "E_VERSION_CORRUPT",
    `Expected a tar archive at ${key} as Sluice writes it, found that ${found}. Restore the object from a copy.`,
    { key },
  );
}
