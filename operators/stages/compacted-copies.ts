import { parquetMetadataAsync } from "hyparquet";
import { z } from "zod";
import type { Store } from "../../connectors/store/store.js";
import { messageOf, SluiceError } from "../../schemas/errors.js";
import { compactedName, keys, type ChainName, type CompactedName } from "../../schemas/keys.js";
import { rowGroupPlaceSchema } from "../../schemas/segment-stub.js";
import { segmentHeaderSchema } from "../../schemas/segment.js";
import { COMPACTED_METADATA, type PlacedSegment } from "./compacted-file.js";

/** A compacted file of a chain, named by a stub or not. */
export interface CompactedCopy extends CompactedName {
  readonly key: string;
  readonly sizeBytes: number;
}

/** All compacted files of a chain, in the order of their keys. */
export async function listCopies(store: Store, chain: ChainName): Promise<CompactedCopy[]> {
  const copies: CompactedCopy[] = [];
  for await (const { key, sizeBytes } of store.list(keys.compactedChain(chain))) {
    const name = compactedName(key);
    if (name !== null) copies.push({ ...name, key, sizeBytes });
  }
  return copies;
}

const placedSchema = z.array(z.strictObject({ header: segmentHeaderSchema, place: rowGroupPlaceSchema }));

/** The segments that a compacted file says it has. Throws E_STORE_MISSING, or E_STORE_CORRUPT where it cannot be read. */
export async function placedSegments(
  store: Store,
  { key, sizeBytes }: Pick<CompactedCopy, "key" | "sizeBytes">,
): Promise<PlacedSegment[]> {
  try {
    const { key_value_metadata } = await parquetMetadataAsync({
      byteLength: sizeBytes,
      slice: async (start, end = sizeBytes) => Uint8Array.from(await store.getRange(key, start, end)).buffer,
    });
    const text = key_value_metadata?.find((one) => one.key === COMPACTED_METADATA)?.value;
    if (text === undefined) throw new TypeError(`the file's metadata has no "${COMPACTED_METADATA}"`);
    return placedSchema.parse(JSON.parse(text));
  } catch (error) {
    if (error instanceof SluiceError) throw error;
    throw new SluiceError(
      "E_STORE_CORRUPT",
      `Expected a compacted file (Parquet) at ${key}, found bytes that do not read as one: ${messageOf(error)}. Restore the object from a copy.`,
      { cause: error, key },
    );
  }
}
