import { ArchiveReader } from "../archive/archive-reader.js";
import { readCards } from "../archive/teacher-registry.js";
import { ranking, type Ranking } from "../select/ranking.js";
import { selectionSchema } from "../../schemas/dataset.js";
import type { RankedCard } from "../../schemas/model-card.js";
import type { Store } from "../../connectors/store/store.js";
import { counted } from "../../schemas/counted.js";
import { SluiceError } from "../../schemas/errors.js";
import type { Frontier } from "../../schemas/frontier.js";
import { DIGEST_BYTES, type ScoredBatch } from "../../schemas/scored-batch.js";
import type { ScoreCondition, Where } from "../../schemas/where.js";

/** Up to where another teacher's scores were heeded. */
export interface HeededScores {
  readonly teacher: string;
  readonly frontier: Frontier;
}

/** Whether images meet what is asked of other teachers' scores: tells of those asked about together. `digests`: 64 hexadecimal digits each. */
export type MeetingImages = (digests: ReadonlySet<string>) => Promise<(sha256: string) => boolean>;

export interface OtherScores {
  readonly heeded: readonly HeededScores[];
  readonly meeting: MeetingImages;
}

/**
 * What `select.where.scores` asks for, of the archives of other teachers as they are now, or as of the frontiers that a version names. null where
 * nothing is asked. Throws E_SELECTION, naming the teacher, where it has scored nothing of the stream or too little is archived to tell;
 * E_CHAIN_GAP, E_SEGMENT_CORRUPT.
 */
export async function otherScores(
  store: Store,
  stream: string,
  where: Where | undefined,
  heeded?: readonly HeededScores[],
): Promise<OtherScores | null> {
  const conditions = where?.scores ?? [];
  if (conditions.length === 0) return null;
  const sources: (HeededScores & {
    readonly ranked: Ranking;
    readonly archive: ArchiveReader;
    readonly conditions: readonly ScoreCondition[];
  })[] = [];
  const cards = await readCards(store);
  for (const teacher of new Set(conditions.map((one) => one.teacher))) {
    const card = cards.get(teacher);
    const asked = conditions.filter((one) => one.teacher === teacher);
    const unknown = asked.find((one) => one.class >= (card?.labels.length ?? 0));
    if (card === undefined || unknown !== undefined) {
      const found =
        card === undefined
          ? "no teacher of that digest has scored anything"
          : `it has ${counted(card.labels.length, "class", "classes")}`;
      throw new SluiceError(
        "E_SELECTION",
        `Expected class #${(unknown ?? asked[0]!).class} of teacher ${teacher.slice(0, 12)} for select.where.scores, found that ${found}. \`sluice teacher list\` lists those that there are.`,
        { teacher },
      );
    }
    const ranked = teachersOwn(card);
    const archive = new ArchiveReader(store, { teacher, stream });
    const frontier = heeded?.find((one) => one.teacher === teacher)?.frontier ?? (await archive.frontier());
    if (frontier.every(({ origin, end }) => end === origin)) {
      throw new SluiceError(
        "E_SELECTION",
        `Expected scores of teacher ${teacher.slice(0, 12)} for select.where.scores, found none in the archive of stream "${stream}". Score the stream by it first, with \`sluice replay\`, or name another teacher.`,
        { teacher },
      );
    }
    sources.push({ teacher, frontier, ranked, archive, conditions: asked });
  }
  return {
    heeded: sources.map(({ teacher, frontier }) => ({ teacher, frontier })),
    meeting: async (digests) => {
      const counts = new Map<string, number>();
      for (const { ranked, archive, frontier, conditions: asked } of sources) {
        const met = await meetingAll(ranked, archive, frontier, asked, digests);
        for (const sha256 of met) counts.set(sha256, (counts.get(sha256) ?? 0) + 1);
      }
      return (sha256) => counts.get(sha256) === sources.length;
    },
  };
}

/** How a teacher's classes are ranked as they are. */
export function teachersOwn(card: RankedCard): Ranking {
  return ranking(selectionSchema.parse({ p: 1 }), card);
}

/** Images of which one teacher's greatest score in each class that is asked about lies where it is to lie. Reads its archive once. */
async function meetingAll(
  ranked: Ranking,
  archive: ArchiveReader,
  frontier: Frontier,
  asked: readonly ScoreCondition[],
  digests: ReadonlySet<string>,
): Promise<string[]> {
  const greatest = new Map<string, Float64Array>();
  for (const { end, ...chain } of frontier) {
    for await (const { batch } of archive.segments(chain, chain.origin, end)) {
      for (let row = 0; row < batch.count; row++) {
        const sha256 = Buffer.from(
          batch.digest.buffer,
          batch.digest.byteOffset + row * DIGEST_BYTES,
          DIGEST_BYTES,
        ).toString("hex");
        if (!digests.has(sha256)) continue;
        let scores = greatest.get(sha256);
        if (scores === undefined) greatest.set(sha256, (scores = new Float64Array(asked.length).fill(-1)));
        for (const [at, condition] of asked.entries())
          scores[at] = Math.max(scores[at]!, scoreOf(ranked, batch, row, condition));
      }
    }
  }
  return [...greatest].flatMap(([sha256, scores]) =>
    asked.every(({ least = 0, most = 1 }, at) => scores[at]! >= least && scores[at]! <= most) ? [sha256] : [],
  );
}

/**
 * A class's probability in an archived row; of one that is not listed the greatest that it may have, where that tells as well. Throws E_SELECTION where the
 * classes that are archived do not tell.
 */
export function scoreOf(
  ranked: Pick<Ranking, "scoreIn">,
  batch: ScoredBatch,
  row: number,
  { teacher, class: index, least = 0, most = 1 }: ScoreCondition,
): number {
  const known = ranked.scoreIn(batch, row, index);
  if (known !== null) return known.probability;
  const { keys, topM } = batch;
  const bound = Math.exp(keys[(row + 1) * topM - 1]!);
  if (bound < least || (least === 0 && bound <= most)) return bound;
  throw new SluiceError(
    "E_SELECTION",
    `Expected the score of class #${index} of teacher ${teacher.slice(0, 12)} for select.where.scores, found an image of which the archive has ${counted(topM, "other class", "other classes")} alone, ` +
      `the last at ${bound.toPrecision(3)}: it may lie above or below what is asked. Archive all logits of that teacher (\`archive.logits: all\`), or ask for more than that.`,
    { teacher, class: index },
  );
}
