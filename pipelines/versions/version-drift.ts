import { ArchiveReader } from "../../operators/archive/archive-reader.js";
import { ranking } from "../../operators/select/ranking.js";
import { scoreDrift } from "../../operators/select/score-drift.js";
import type { Store } from "../../connectors/store/store.js";
import type { ClassNames } from "../../schemas/class-names.js";
import type { Selection } from "../../schemas/dataset.js";
import type { Drift } from "../../schemas/drift.js";
import { isSluiceError } from "../../schemas/errors.js";
import { endIn, type Frontier } from "../../schemas/frontier.js";
import type { Manifest } from "../../schemas/manifest.js";
import { teacherDigest, type ModelCard } from "../../schemas/model-card.js";
import { sampleArchive, type SampledRange } from "../console/archive-sample.js";

/** Archived rows that are read on either side, at most about */
const MOST_READ = 20_000;

export interface DriftOptions {
  readonly store: Store;
  readonly card: ModelCard & ClassNames;
  readonly stream: string;
  readonly select: Selection;
  readonly frontier: Frontier;
}

/**
 * How what was archived between a version's frontier and a later one differs from what was archived before. null where they cannot be compared: another teacher or
 * stream, nothing before, or an archive that has too little to tell the best class. Throws E_STORE_IO.
 */
export async function driftSince(
  { store, card, stream, select, frontier }: DriftOptions,
  since: Manifest,
): Promise<Drift | null> {
  const teacher = teacherDigest(card);
  if (since.teacher.digest !== teacher || since.provenance.stream !== stream) return null;
  const [now, before]: SampledRange[][] = [[], []];
  for (const { partition, origin, end } of frontier) {
    const from = Math.min(end, Math.max(origin, endIn(since.provenance.frontier, { partition, origin })));
    if (from > origin) before!.push({ partition, origin, from: origin, end: from });
    if (end > from) now!.push({ partition, origin, from, end });
  }
  const ranked = ranking(select, card);
  // Nothing has come since: what was found of the same images holds still.
  if (now!.length === 0) {
    const { drift } = since.provenance;
    return drift?.classes.every((one) => ranked.labels[one.class] === one.label) === true ? drift : null;
  }
  const archive = new ArchiveReader(store, { teacher, stream });
  const best = async (ranges: readonly SampledRange[]): Promise<number[][]> => {
    const found: number[][] = ranked.labels.map(() => []);
    await sampleArchive(archive, ranges, MOST_READ, (batch) => {
      const { classes, keys, topM } = ranked.scores(batch);
      for (let row = 0; row < batch.count; row++)
        if (ranked.leavesOut(batch, row) === null) found[classes[row * topM]!]?.push(Math.exp(keys[row * topM]!));
    });
    return found;
  };
  try {
    const drift = scoreDrift(await best(now!), await best(before!), ranked.labels);
    return drift === null ? null : { since: since.number, ...drift };
  } catch (error) {
    if (isSluiceError(error, "E_SELECTION")) return null;
    throw error;
  }
}
