import { selectionFaults, type Selection } from "../../schemas/dataset.js";
import type { ClassNames } from "../../schemas/class-names.js";
import { SluiceError } from "../../schemas/errors.js";
import { isMultiLabel, type RankedCard } from "../../schemas/model-card.js";
import { DIGEST_BYTES, type ScoredBatch } from "../../schemas/scored-batch.js";
import { selectedClasses, selectedNames, type ClassMap } from "./class-map.js";
import { MappedScores } from "./mapped-scores.js";
import { randomRank } from "./random-rank.js";
import { rowTest, type ConditionColumns, type RowTest } from "./row-conditions.js";

/** The class of a place where the image has no further class at or above the floor; its key is 0. */
export const EMPTY_PLACE = -0x80000000;

/** What of an archived row its scores are made of. */
export type ArchivedScores = Pick<ScoredBatch, "count" | "topM" | "classes" | "keys" | "logits" | "allLogits">;

/** The version's classes of each image: classes and log-probabilities, best first, [n x topM]. */
export type ClassScores = Pick<ScoredBatch, "count" | "topM" | "classes" | "keys">;

/** What of an archived row its rank is made of. */
export type RankableBatch = ArchivedScores &
  Pick<ScoredBatch, "digest" | "partition" | "offset" | "logSumExp"> &
  Omit<ConditionColumns, "topM" | "keys" | "logSumExp">;

/** What candidates are made of: `keys` are rank keys, best first. */
export type RankedBatch = Pick<ScoredBatch, "count" | "topM" | "digest" | "partition" | "offset" | "classes" | "keys">;

/** `labels` are the version's classes, [L]. */
export interface Ranking extends ClassNames {
  /** Least rank key: the floor's logarithm where rank keys are log-probabilities, else -Infinity: `rank` has applied it */
  readonly floorKey: number;
  /** Whether rank keys are log-probabilities */
  readonly byProbability: boolean;
  /** What `scores` needs of the archive: the M best classes of each image, or all logits of it */
  readonly needs: "top-M" | "full softmax";
  /** Whether `scores` answers for any image that has its `topM` best classes archived and, with `all`, its logits. */
  readonly alwaysAnswers: (topM: number, all: boolean) => boolean;
  /**
   * The log-probabilities under the selection's labels and temperature, at least of the P best classes; the batch's own
   * where they are the archive's. Throws E_SELECTION where the archive has too little to tell, saying what.
   */
  scores(batch: ArchivedScores): ClassScores;
  /** Which condition of `select.where` an archived row does not meet; null: it is chosen from */
  readonly leavesOut: RowTest;
  /**
   * The same with the selection's rank keys and floor; a row that a condition leaves out has no class. The batch itself where nothing is set.
   * Throws as `scores`.
   */
  rank(batch: RankableBatch): RankedBatch;
  /** An image's rank key in one of the version's classes, whatever its others and the floor; null where the archive has no score of it there. */
  scoreIn(batch: RankableBatch, row: number, classIndex: number): { key: number; probability: number } | null;
}

/**
 * How a selection ranks what a teacher has scored. Throws E_SELECTION for parameters that contradict each other and for
 * labels that the teacher does not have.
 */
export function ranking(selection: Selection, card: RankedCard): Ranking {
  const fault = selectionFaults(selection)[0];
  if (fault !== undefined) {
    throw new SluiceError("E_SELECTION", `select.${fault.path.join(".")}: ${fault.message}.`, { path: fault.path });
  }
  const { p, floor, decay, order, seed = 0 } = selection;
  const map = selectedClasses(selection, card);
  const floorKey = floor > 0 ? Math.log(floor) : Number.NEGATIVE_INFINITY;
  const byProbability = decay === undefined && order === "ranked";
  const scored = scoring({
    map,
    card,
    p,
    floorKey,
    temperature: selection.temperature,
    mapped: selection.labels !== undefined,
  });
  const keyOf =
    order === "random"
      ? (batch: RankableBatch, row: number): ((logProbability: number) => number) => {
          const key = randomRank(seed, batch.digest, row * DIGEST_BYTES);
          return () => key;
        }
      : (batch: RankableBatch, row: number): ((logProbability: number) => number) => {
          const bonus = decayBonus(decay!, Number(batch.eventTimeMs[row]!));
          return (logProbability) => logProbability + bonus;
        };
  const leavesOut = rowTest(selection.where);
  return {
    ...scored,
    ...selectedNames(selection, card),
    leavesOut: leavesOut ?? (() => null),
    byProbability,
    floorKey: byProbability ? floorKey : Number.NEGATIVE_INFINITY,
    scoreIn(batch, row, classIndex) {
      const logProbability = scored.logProbabilityIn(batch, row, classIndex);
      if (logProbability === null) return null;
      const key = byProbability ? logProbability : keyOf(batch, row)(logProbability);
      return { key, probability: Math.exp(logProbability) };
    },
    rank(batch) {
      const ranked = rankAll(batch);
      return leavesOut === null ? ranked : withoutRows(ranked, batch, p, leavesOut);
    },
  };

  function rankAll(batch: RankableBatch): RankedBatch {
    const scores = scored.scores(batch);
    if (byProbability) return scores === batch ? batch : { ...placesOf(batch), ...scores };
    const width = Math.min(p, scores.topM);
    const classes = new Int32Array(batch.count * width);
    const keys = new Float64Array(batch.count * width);
    for (let row = 0; row < batch.count; row++) {
      const rankKey = keyOf(batch, row);
      for (let place = 0; place < width; place++) {
        const from = row * scores.topM + place;
        const to = row * width + place;
        const key = scores.keys[from]!;
        classes[to] = key < floorKey ? EMPTY_PLACE : scores.classes[from]!;
        // What is no finite number stays none, for the candidates to refuse.
        keys[to] = Number.isFinite(key) || classes[to] === EMPTY_PLACE ? rankKey(key) : Number.NaN;
      }
    }
    return { ...placesOf(batch), topM: width, classes, keys };
  }
}

/** The batch with no class in the rows that a condition leaves out; itself where none is. */
function withoutRows(ranked: RankedBatch, batch: RankableBatch, p: number, leavesOut: RowTest): RankedBatch {
  const out: number[] = [];
  for (let row = 0; row < batch.count; row++) if (leavesOut(batch, row) !== null) out.push(row);
  if (out.length === 0) return ranked;
  const width = Math.min(p, ranked.topM);
  const classes = new Int32Array(ranked.count * width);
  const keys = new Float64Array(ranked.count * width);
  for (let row = 0; row < ranked.count; row++) {
    const from = row * ranked.topM;
    classes.set(ranked.classes.subarray(from, from + width), row * width);
    keys.set(ranked.keys.subarray(from, from + width), row * width);
  }
  for (const row of out) {
    classes.fill(EMPTY_PLACE, row * width, (row + 1) * width);
    keys.fill(0, row * width, (row + 1) * width);
  }
  return { ...placesOf(ranked), topM: width, classes, keys };
}

/** What forward decay adds to a log-probability: ln 2 a half-life. It is the same for all classes of an image. */
export function decayBonus(decay: NonNullable<Selection["decay"]>, eventTimeMs: number): number {
  return ((eventTimeMs - decay.landmarkMs) * Math.LN2) / decay.halfLifeMs;
}

function placesOf({ count, digest, partition, offset }: RankedBatch) {
  return { count, digest, partition, offset };
}

interface Scoring {
  readonly map: ClassMap;
  readonly card: RankedCard;
  readonly p: number;
  readonly floorKey: number;
  readonly temperature: number | undefined;
  /** There is a label map */
  readonly mapped: boolean;
}

type Scores = Pick<Ranking, "needs" | "alwaysAnswers" | "scores"> & {
  /** null where the archive does not tell */
  readonly logProbabilityIn: (batch: ArchivedScores, row: number, classIndex: number) => number | null;
};

function scoring(options: Scoring): Scores {
  const { map, card, p, floorKey, mapped } = options;
  const temperature = options.temperature ?? card.temperature;
  const classCount = card.labels.length;
  const width = Math.min(p, map.labels.length);
  const computed = map.merges || temperature !== card.temperature;
  const whole = new MappedScores(map, temperature, isMultiLabel(card));
  const leftOut = map.classOf.reduce((sum, at) => sum + (at < 0 ? 1 : 0), 0);
  return {
    needs: computed ? "full softmax" : "top-M",
    alwaysAnswers: (topM, all) => all || topM >= classCount || (!computed && width + leftOut <= topM),
    scores(batch) {
      const { count, topM } = batch;
      // A selection that asks for more classes than are archived and mapped is refused where candidates are made.
      const enough = width <= topM || (batch.allLogits === null && topM < classCount);
      if (!computed && !mapped && enough) return batch;
      const classes = new Int32Array(count * width);
      const keys = new Float64Array(count * width);
      const logits = new LogitsOfRow(batch, classCount);
      for (let row = 0; row < count; row++) {
        if (!computed && fromTop(batch, row, map, floorKey, classes, keys, width)) continue;
        const all = logits.of(row);
        if (all === null) throw cannotTell(options, computed, topM);
        whole.write(all, classes, keys, row * width, width);
      }
      return { count, topM: width, classes, keys };
    },
    logProbabilityIn(batch, row, classIndex) {
      const members = map.members[classIndex]!;
      const { topM } = batch;
      for (let place = row * topM; !computed && place < (row + 1) * topM; place++)
        if (batch.classes[place] === members[0]) return batch.keys[place]!;
      const all = new LogitsOfRow(batch, classCount).of(row);
      if (all === null) return null;
      const every = map.labels.length;
      const classes = new Int32Array(every);
      const keys = new Float64Array(every);
      whole.write(all, classes, keys, 0, every);
      return keys[classes.indexOf(classIndex)]!;
    },
  };
}

/** The best classes of a row from its top M; false where some that could be among them are not listed. */
function fromTop(
  batch: ArchivedScores,
  row: number,
  { classOf }: ClassMap,
  floorKey: number,
  classes: Int32Array,
  keys: Float64Array,
  width: number,
): boolean {
  let taken = 0;
  const end = (row + 1) * batch.topM;
  for (let place = row * batch.topM; place < end && taken < width; place++) {
    const of = classOf[batch.classes[place]!];
    if (of === undefined || of < 0) continue;
    classes[row * width + taken] = of;
    keys[row * width + taken] = batch.keys[place]!;
    taken++;
  }
  if (taken < width && !(batch.keys[end - 1]! < floorKey)) return false;
  classes.fill(EMPTY_PLACE, row * width + taken, (row + 1) * width);
  keys.fill(0, row * width + taken, (row + 1) * width);
  return true;
}

/** All logits of a row: as archived, or put in order where the M best are all; null where the archive has not all. */
class LogitsOfRow {
  readonly #batch: ArchivedScores;
  readonly #classCount: number;
  readonly #ordered: Float32Array | null;

  constructor(batch: ArchivedScores, classCount: number) {
    this.#batch = batch;
    this.#classCount = classCount;
    this.#ordered = batch.topM === classCount ? new Float32Array(classCount) : null;
  }

  of(row: number): Float32Array | null {
    const { allLogits, topM, classes, logits } = this.#batch;
    const all = allLogits?.subarray(row * this.#classCount, (row + 1) * this.#classCount);
    // A row copied from one without all logits has NaN; scores that are not finite are never archived.
    if (all !== undefined && !Number.isNaN(all[0]!)) return all;
    if (this.#ordered === null) return null;
    for (let place = row * topM; place < (row + 1) * topM; place++) this.#ordered[classes[place]!] = logits[place]!;
    return this.#ordered;
  }
}

function cannotTell({ map, p, temperature, card }: Scoring, computed: boolean, topM: number): SluiceError {
  const archived = `the archive has the ${topM} best of ${card.labels.length} classes of some images`;
  const advice = "Archive all logits (`archive.logits: all`) for images scored from then on";
  return new SluiceError(
    "E_SELECTION",
    computed
      ? `Expected all logits of every image for ${map.merges ? "merged classes" : `another temperature (${temperature ?? "?"})`}, but ${archived} only. ${advice}.`
      : `Expected the ${p} best of the ${map.labels.length} chosen classes of every image, but ${archived}, and fewer than ${p} of the chosen are among them. ` +
          `${advice}, or set a lower \`select.p\`, or a \`select.floor\` that the classes not archived cannot reach.`,
    { topM, p, classes: map.labels.length },
  );
}
