import { currentFrontier, ArchiveReader } from "../../operators/archive/archive-reader.js";
import { SluiceError } from "../../schemas/errors.js";
import type { ScoredBatch } from "../../schemas/scored-batch.js";
import { readSomeColumns } from "../versions/index-reader.js";
import type { TrainingJob } from "./model-trainer.js";

/**
 * What a version's teacher said of each of its images, from the archived logits: probabilities of the classes `labels` at a temperature, by digest.
 * Throws E_TRAIN_DATA for a version of other classes than the teacher's, or where the archive has no more than the first M of them.
 */
export async function archivedTargets(
  { store, manifest }: NonNullable<TrainingJob["version"]>,
  labels: readonly string[],
  temperature: number,
): Promise<ReadonlyMap<string, Float32Array>> {
  if (manifest.select.labels !== undefined) {
    throw new SluiceError(
      "E_TRAIN_DATA",
      `Expected a version of its teacher's own classes to take probabilities from, found ${manifest.dataset}/${manifest.number} of mapped ones. Train on its classes instead.`,
    );
  }
  const wanted = new Set<string>();
  for await (const { count, sha256 } of readSomeColumns(store, manifest, ["sha256"]))
    for (let row = 0; row < count; row++) wanted.add(sha256[row]!);
  const archive = { teacher: manifest.teacher.digest, stream: manifest.provenance.stream };
  const reader = new ArchiveReader(store, archive);
  const targets = new Map<string, Float32Array>();
  for (const { end, ...place } of await currentFrontier(store, archive)) {
    for await (const { batch } of reader.segments(place, place.origin, end)) {
      for (let row = 0; row < batch.count; row++) {
        const digest = Buffer.from(batch.digest.subarray(row * 32, (row + 1) * 32)).toString("hex");
        if (!wanted.has(digest) || targets.has(digest)) continue;
        targets.set(digest, softened(logitsAt(batch, row, labels.length), temperature));
      }
    }
  }
  return targets;
}

/** All C logits of a row, in the order of the classes. */
function logitsAt({ topM, classes, logits, allLogits }: ScoredBatch, row: number, count: number): Float32Array {
  if (allLogits !== null) {
    const all = allLogits.subarray(row * count, (row + 1) * count);
    if (!Number.isNaN(all[0])) return all;
  }
  if (topM < count) {
    throw new SluiceError(
      "E_TRAIN_DATA",
      `Expected the logits of all ${count} classes in the archive, found those of the first ${topM}. Score with archive.logits: all.`,
    );
  }
  const all = new Float32Array(count);
  for (let rank = 0; rank < topM; rank++) all[classes[row * topM + rank]!] = logits[row * topM + rank]!;
  return all;
}

function softened(logits: Float32Array, temperature: number): Float32Array {
  const most = logits.reduce((greatest, logit) => Math.max(greatest, logit), -Infinity);
  const powers = logits.map((logit) => Math.exp((logit - most) / temperature));
  const sum = powers.reduce((all, power) => all + power, 0);
  return powers.map((power) => power / sum);
}
