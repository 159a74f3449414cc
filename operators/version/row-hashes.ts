import { PDQ_BYTES } from "../../schemas/pdq-hash.js";
import { DIGEST_BYTES } from "../../schemas/scored-batch.js";
import { hashWords } from "../select/near-index.js";
import type { RowHashes } from "../select/left-out-rows.js";
import type { TopkRows } from "../topk/topk.js";
import { eachArchivedRow, type RowPlaces } from "./archived-rows.js";

/** Reads digests and perceptual hashes of the archived rows behind ranked entries: 65 bytes each. Throws as `chosenRows`. */
export async function rowHashes(archive: RowPlaces, lists: readonly TopkRows[]): Promise<RowHashes[]> {
  const found = lists.map(({ count }) => ({
    digest: new Uint8Array(DIGEST_BYTES * count),
    pdq: new Uint8Array(PDQ_BYTES * count),
    quality: new Uint8Array(count),
  }));
  await eachArchivedRow(archive, lists, (list, to, batch, row) => {
    const { digest, pdq, quality } = found[list]!;
    digest.set(batch.digest.subarray(DIGEST_BYTES * row, DIGEST_BYTES * (row + 1)), DIGEST_BYTES * to);
    pdq.set(batch.pdq.subarray(PDQ_BYTES * row, PDQ_BYTES * (row + 1)), PDQ_BYTES * to);
    quality[to] = batch.pdqQuality[row]!;
  });
  return found.map(({ digest, pdq, quality }) => ({ digest, words: hashWords(pdq), quality }));
}
