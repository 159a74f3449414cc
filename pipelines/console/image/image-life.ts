import type { Store } from "../../../connectors/store/store.js";
import { ArchiveReader } from "../../../operators/archive/archive-reader.js";
import { rowsOfImages } from "../../../operators/archive/rows-of-images.js";
import { readCards, type ArchivedCard } from "../../../operators/archive/teacher-registry.js";
import { ranking } from "../../../operators/select/ranking.js";
import { scoreOf, teachersOwn } from "../../../operators/version/other-scores.js";
import type { Frontier } from "../../../schemas/frontier.js";
import type { ScoreCondition } from "../../../schemas/where.js";
import { rowTest, type ConditionColumns, type ConditionName } from "../../../operators/select/row-conditions.js";
import { isIn } from "../../../operators/select/windows.js";
import { versionLabels, type Manifest } from "../../../schemas/manifest.js";
import type { Fate, ImageLife, Sighting } from "../../../schemas/api/images.js";
import { isSluiceError } from "../../../schemas/errors.js";
import type { ImageLabel } from "../../../schemas/image-label.js";
import { BYTES, type ScoredBatch } from "../../../schemas/scored-batch.js";
import { listQuarantine } from "../../quarantine/quarantine.js";
import type { IndexGroups } from "../../versions/index-groups.js";
import { listLabels } from "../../versions/label-images.js";
import { MeantClasses } from "../../versions/meant-classes.js";
import { listVersions, publishedDatasets } from "../../versions/versions.js";
import { saidText } from "../../versions/change-reasons.js";
import type { LeftOut } from "../../../schemas/left-out.js";
import { leftOutOf, leftOutText } from "../../versions/left-out.js";

/** Classes of an image that its fate is told of at least, beside those that it was chosen for: where it stands for more (P), of all of these */
const CLASSES_TOLD = 2;
/** Versions of a dataset that are looked through, the newest */
const VERSIONS_TOLD = 12;
/** What is no further below a cut-off missed it nearly */
const NEAR_MISS = 0.05;
/** Best classes shown */
const SCORES_SHOWN = 5;

interface Scored {
  readonly card: ArchivedCard;
  readonly teacher: string;
  /** One row; of its text nothing is left once the archive is read on */
  readonly batch: ScoredBatch;
  readonly sighting: Sighting;
}

export interface ImageLifeOptions {
  readonly store: Store;
  readonly stream: string;
  readonly groups: IndexGroups;
}

/** All that is known of an image: where it was seen, how it was scored, which versions it is in and which it missed. */
export async function imageLife(
  { store, stream, groups }: ImageLifeOptions,
  sha256: string,
  signal?: AbortSignal,
): Promise<Omit<ImageLife, "bytes">> {
  const scored: Scored[] = [];
  const quarantine: ImageLife["quarantine"][number][] = [];
  for (const [teacher, card] of await readCards(store)) {
    const archive = new ArchiveReader(store, { teacher, stream });
    for await (const { batch } of rowsOfImages(archive, [sha256], { signal })) {
      scored.push({ card, teacher, batch, sighting: sighting({ card, teacher, batch }, stream) });
    }
    for await (const one of listQuarantine(store, { teacher, stream }, { match: sha256 })) quarantine.push(one);
  }
  const labels: ImageLabel[] = [];
  for await (const label of listLabels(store, stream)) if (label.sha256 === sha256) labels.push(label);
  const fates: Fate[] = [];
  for (const dataset of await publishedDatasets(store)) {
    const manifests: Manifest[] = [];
    for await (const manifest of listVersions(store, dataset)) manifests.push(manifest);
    // One of another stream chose among other images.
    const own = manifests.filter(({ provenance }) => provenance.stream === stream);
    for (const manifest of own.slice(-VERSIONS_TOLD))
      fates.push(...(await fatesIn(store, groups, manifest, scored, labels, sha256)));
  }
  return { sha256, sightings: scored.map((one) => one.sighting), quarantine, fates, labels };
}

const BYTES_NAMES = { [BYTES.absent]: "absent", [BYTES.kept]: "kept", [BYTES.refer]: "refer" } as const;

function sighting({ card, teacher, batch }: Omit<Scored, "sighting">, stream: string): Sighting {
  const retryOf = Number(batch.retryOf[0]!);
  return {
    teacher,
    teacherName: card.name,
    stream,
    partition: batch.partition[0]!,
    offset: Number(batch.offset[0]!),
    uri: batch.uri.get(0) ?? "",
    eventTimeMs: Number(batch.eventTimeMs[0]!),
    sizeBytes: batch.sizeBytes[0]!,
    width: batch.width[0]!,
    height: batch.height[0]!,
    licence: batch.licence.get(0),
    origin: batch.origin.get(0),
    notes: (batch.notes.get(0) ?? "").split(",").filter((note) => note !== ""),
    copied: batch.copied[0] === 1,
    retryOf: retryOf < 0 ? null : retryOf,
    bytes: BYTES_NAMES[batch.bytes[0] as 0 | 1 | 2],
    scores: Array.from({ length: Math.min(SCORES_SHOWN, batch.topM) }, (_, place) => ({
      class: batch.classes[place]!,
      label: card.labels[batch.classes[place]!] ?? String(batch.classes[place]!),
      probability: Math.exp(batch.keys[place]!),
    })),
  };
}

/** In each of the image's best classes under a version's selection: its rank there, or by how much it missed it. */
async function fatesIn(
  store: Store,
  groups: IndexGroups,
  manifest: Manifest,
  scored: readonly Scored[],
  labels: readonly ImageLabel[],
  sha256: string,
): Promise<Fate[]> {
  const own = scored.filter(({ teacher }) => teacher === manifest.teacher.digest);
  const covered = own.filter(({ batch }) => isCovered(manifest, batch));
  // Of several occurrences one that is chosen from, where there is one.
  const seen = covered.find((one) => leftOutBy(manifest, one) === null) ?? covered[0] ?? own[0];
  if (seen === undefined) return [];
  const ranked = classesOf(manifest, seen);
  if (ranked === null) return [];
  const meant = new MeantClasses(manifest, seen.card);
  const named = [...new Set(labels.flatMap((label) => (label.verdict === "is" ? [...meant.namedBy(label)] : [])))].sort(
    (a, b) => a - b,
  );
  const classes = [
    ...ranked,
    ...named
      .filter((index) => ranked.every((one) => one.index !== index))
      .map((index) => ({ index, probability: null })),
  ];
  const fates: Fate[] = [];
  const out = await leftOutOf(store, manifest);
  for (const [place, { index, probability }] of classes.entries()) {
    const standing = manifest.classes[index]!;
    const isBelow = standing.worst !== null && probability !== null && probability < standing.worst * 0.999999;
    // What people placed stands first, whatever its probability.
    const placed = standing.labelled ?? 0;
    const rows =
      isBelow && placed === 0 ? [] : await groups.rowsOf(manifest, index, 0, isBelow ? placed : standing.count);
    const own = rows.find((row) => row.sha256 === sha256);
    const rank = own?.rank ?? null;
    if (rank === null && place >= Math.max(CLASSES_TOLD, manifest.select.p)) continue;
    fates.push({
      dataset: manifest.dataset,
      number: manifest.number,
      class: index,
      label: standing.label,
      rank,
      k: standing.k,
      probability,
      cutoff: standing.worst,
      because:
        rank === null
          ? missed(manifest, index, place, probability, {
              seen,
              scored,
              labels,
              meant,
              out: out.get(`${index} ${sha256}`),
            })
          : `rank ${rank} of ${standing.count}${own?.by === "label" ? ", because somebody said that it is of this class" : ""}`,
    });
  }
  return fates;
}

function classesOf(manifest: Manifest, { card, batch }: Scored): { index: number; probability: number }[] | null {
  try {
    const ranked = ranking(manifest.select, card);
    const { classes, keys, topM } = ranked.scores(batch);
    return Array.from({ length: topM }, (_, place) => ({
      index: classes[place]!,
      probability: Math.exp(keys[place]!),
    })).filter(({ index }) => index >= 0 && index < versionLabels(manifest).length);
  } catch (error) {
    // The archive has too little of this image to tell: nothing is said of the version.
    if (isSluiceError(error, "E_SELECTION")) return null;
    throw error;
  }
}

function missed(
  manifest: Manifest,
  index: number,
  place: number,
  probability: number | null,
  known: {
    readonly seen: Scored;
    readonly scored: readonly Scored[];
    readonly labels: readonly ImageLabel[];
    readonly meant: MeantClasses;
    readonly out: LeftOut | undefined;
  },
): string {
  const { labels, meant, out } = known;
  const { batch } = known.seen;
  const { select, number, span, provenance } = manifest;
  const standing = manifest.classes[index]!;
  if (!isCovered(manifest, batch)) return `came after version ${number} was cut`;
  if (!isIn(span, Number(batch.eventTimeMs[0]!))) return `its time is outside the window of version ${number}`;
  const label = labels.findLast(({ timeMs }) => timeMs <= Date.parse(provenance.createdAt));
  if (label !== undefined && meant.takesOut(label, index)) return saidText(label);
  const condition = leftOutBy(manifest, known.seen);
  if (condition !== null) return `left out by where: ${condition}`;
  const other = (select.where?.scores ?? []).find((one) => !meetsScore(manifest, known.scored, one));
  if (other !== undefined)
    return `left out by where: scores (class #${other.class} of teacher ${other.teacher.slice(0, 12)})`;
  if (out !== undefined) return leftOutText(out);
  if (probability === null || place >= select.p) return `is not among its ${select.p} best classes (P)`;
  if (probability < select.floor)
    return `${(select.floor - probability).toPrecision(2)} below the floor of ${select.floor}`;
  if (standing.worst !== null && probability < standing.worst) {
    const by = standing.worst - probability;
    const near = by <= NEAR_MISS ? `near miss by ${by.toPrecision(2)}: below` : `${by.toPrecision(2)} below`;
    return `${near} the cut-off of version ${number}`;
  }
  return "the same picture was seen before, or another rule of the selection left it out";
}

/** Which condition of a version's selection an occurrence does not meet. */
function leftOutBy({ select }: Manifest, { batch, sighting }: Scored): ConditionName | null {
  const { licence, origin, notes } = sighting;
  const columns: ConditionColumns = {
    ...batch,
    licence: { get: () => licence },
    origin: { get: () => origin },
    notes: { get: () => notes.join(",") },
  };
  return rowTest(select.where)?.(columns, 0) ?? null;
}

/** Whether another teacher's greatest score of the image, as far as the version heeded it, is what is asked for. */
function meetsScore({ provenance }: Manifest, scored: readonly Scored[], condition: ScoreCondition): boolean {
  const frontier = provenance.scores?.find(({ teacher }) => teacher === condition.teacher)?.frontier ?? [];
  const own = scored.filter(
    ({ teacher, batch }) =>
      teacher === condition.teacher && isBelow(frontier, batch.partition[0]!, Number(batch.offset[0]!)),
  );
  const most = Math.max(-1, ...own.map(({ card, batch }) => scoreOf(teachersOwn(card), batch, 0, condition)));
  return most >= Math.max(0, condition.least ?? 0) && most <= (condition.most ?? 1);
}

function isCovered({ provenance }: Manifest, batch: ScoredBatch): boolean {
  return isBelow(provenance.frontier, batch.partition[0]!, Number(batch.offset[0]!));
}

function isBelow(frontier: Frontier, partition: number, offset: number): boolean {
  return frontier.some((one) => one.partition === partition && one.origin <= offset && offset < one.end);
}
