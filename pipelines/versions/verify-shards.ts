import type { Store } from "../../connectors/store/store.js";
import { counted } from "../../schemas/counted.js";
import { sha256Hex } from "../../schemas/canonical.js";
import { isSluiceError } from "../../schemas/errors.js";
import type { ManifestFile } from "../../schemas/manifest.js";
import { hashObject, hashed } from "./hashed-stream.js";
import type { Findings } from "./findings.js";
import type { IndexColumns } from "./index-reader.js";
import { readShard } from "./shard-reader.js";

/** The rows of one index file that say they are in a shard: what the shards must hold, no more and no less. */
export class ExpectedSamples {
  /** by class and rank */
  readonly #rows = new Map<string, { readonly sha256: string; readonly shard: string }>();
  readonly #shards = new Set<string>();

  /** Takes rows, and reports those whose `bytes` and `shard` contradict each other. */
  add(columns: IndexColumns, where: string, findings: Findings): void {
    for (let row = 0; row < columns.count; row++) {
      const bytes = columns.bytes[row];
      const shard = columns.shard[row] ?? null;
      const sample = sampleOf(columns.class[row]!, columns.rank[row]!);
      if ((bytes === "absent") !== (shard === null) || (bytes !== "absent" && (bytes as string) !== "shard")) {
        findings.add(
          `${where}, ${sample}`,
          "bytes `shard` with a shard's name, or `absent` with none",
          `${bytes}, ${shard}`,
        );
      }
      if (shard === null) continue;
      this.#rows.set(sample, { sha256: columns.sha256[row]!, shard });
      this.#shards.add(shard);
    }
  }

  /** Names of the shards that these rows are in, ascending */
  get shards(): string[] {
    return [...this.#shards].sort();
  }

  /** Reads a shard whole: its digest and size, each image's digest, and that each sample is one of these rows. */
  async check(store: Store, file: ManifestFile, findings: Findings, onImage: () => void): Promise<void> {
    const name = file.key.slice(file.key.lastIndexOf("/") + 1);
    const stream = hashed(store);
    let samples = 0;
    try {
      for await (const sample of readShard(stream, file.key)) {
        samples++;
        onImage();
        const where = `${file.key}, ${sampleOf(sample.class, sample.rank)}`;
        const row = this.#rows.get(sampleOf(sample.class, sample.rank));
        if (row?.shard !== name) {
          findings.add(
            where,
            "a row of the index that is in this shard",
            row === undefined ? "none, or one that came before" : `one in ${row.shard}`,
          );
          continue;
        }
        this.#rows.delete(sampleOf(sample.class, sample.rank));
        findings.compare(`${where}: digest in .json`, row.sha256, sample.sha256);
        findings.compare(`${where}: digest of the image`, row.sha256, sha256Hex(sample.bytes));
      }
      findings.compare(`${file.key}: samples`, file.rows, samples);
      compareObject(file, stream.digest(), findings);
    } catch (error) {
      if (!isSluiceError(error, "E_VERSION_CORRUPT") && !isSluiceError(error, "E_STORE_MISSING")) throw error;
      findings.add(file.key, "a tar archive of samples", error.message);
      if (error.code === "E_VERSION_CORRUPT") compareObject(file, await hashObject(store, file.key), findings);
    }
  }

  /** After the last shard: rows whose sample none of them had. */
  finish(findings: Findings): void {
    for (const [sample, { shard }] of this.#rows)
      findings.add(`${shard}, ${sample}`, "the sample that the index says is here", "none");
  }
}

/** Whether an object is the file that was published; how not is a finding. */
export function compareObject(
  file: ManifestFile,
  found: { sizeBytes: number; sha256: string } | null,
  findings: Findings,
): boolean {
  if (found === null) {
    findings.add(file.key, `an object of ${counted(file.sizeBytes, "byte")}`, "none");
    return false;
  }
  findings.compare(`${file.key}: size in bytes`, file.sizeBytes, found.sizeBytes);
  findings.compare(`${file.key}: SHA-256`, file.sha256, found.sha256);
  return found.sizeBytes === file.sizeBytes && found.sha256 === file.sha256;
}

function sampleOf(classIndex: number, rank: number): string {
  return `class ${classIndex}, rank ${rank}`;
}
