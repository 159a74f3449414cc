import type { Store } from "../../connectors/store/store.js";
import { ArchiveReader } from "../../operators/archive/archive-reader.js";
import { readCards } from "../../operators/archive/teacher-registry.js";
import { declaredStreams } from "../../operators/version/declarations.js";
import type { ListedEvaluation, ListedTeacher } from "../../schemas/api/teachers.js";
import type { ClassNames } from "../../schemas/class-names.js";
import type { ImageLabel } from "../../schemas/image-label.js";
import type { Manifest } from "../../schemas/manifest.js";
import type { EvaluationRecord, TrainingRecord } from "../../schemas/model-record.js";
import { streamTeachers, type StreamTeachers } from "../teachers/change-teacher.js";
import { storedModels } from "../teachers/stored-models.js";
import { MeantClasses } from "../versions/meant-classes.js";
import { listVersions, publishedDatasets } from "../versions/versions.js";
import type { DrawnRows } from "./review/drawn-rows.js";
import { audit } from "./review/review-queue.js";

export interface TeachersPlace {
  readonly store: Store;
  readonly drawn: DrawnRows;
  /** The stream that is served; others that were declared are told of, too */
  readonly stream: string;
}

/** Pairs of classes that are told of as confused */
const CONFUSED = 5;

/**
 * The teachers that have scored into a store, and the models that lie there: their cards, what they were trained from and came to on test images, what they
 * scored, the versions that were made by them, and how right people found the newest one of each dataset. The one that stands first.
 */
export async function listTeachers(
  { store, drawn, stream }: TeachersPlace,
  said: ReadonlyMap<string, readonly ImageLabel[]>,
): Promise<ListedTeacher[]> {
  const manifests = new Map<string, Manifest[]>();
  for (const dataset of await publishedDatasets(store)) {
    for await (const manifest of listVersions(store, dataset)) {
      const list = manifests.get(manifest.teacher.digest) ?? [];
      manifests.set(manifest.teacher.digest, list);
      list.push(manifest);
    }
  }
  const streams = [...new Set([stream, ...(await declaredStreams(store))])];
  const listed: ListedTeacher[] = [];
  const models = await storedModels(store);
  const scorers = await readCards(store);
  const teachers = await streamTeachers(store, stream);
  const cards = new Map([...[...models].map(([digest, { card }]) => [digest, card] as const), ...scorers]);
  for (const [digest, card] of cards) {
    const model = models.get(digest);
    const scored: { stream: string; archived: number; watermarkMs: number | null }[] = [];
    for (const one of streams) {
      const archive = new ArchiveReader(store, { teacher: digest, stream: one });
      const frontier = await archive.frontier({ onGap: () => undefined });
      const archived = frontier.reduce((sum, { origin, end }) => sum + end - origin, 0);
      if (archived === 0) continue;
      const { watermarkMs } = await archive.totalsAt(frontier, () => undefined);
      scored.push({ stream: one, archived, watermarkMs });
    }
    const made = manifests.get(digest) ?? [];
    listed.push({
      digest,
      name: card.name,
      isDeclared: digest === teachers.stands?.digest,
      state: stateOf(digest, teachers) ?? (scorers.has(digest) ? "scored" : "store"),
      isStored: model !== undefined,
      training: model?.training == null ? null : trainingOf(model.training),
      evaluation: model?.evaluation == null ? null : evaluationOf(model.evaluation),
      checked: card.checked ?? null,
      format: card.format,
      weights: {
        sha256: card.weights.sha256,
        files: card.weights.files.length,
        sizeBytes: card.weights.files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      },
      input: { width: card.input.width, height: card.input.height, colour: card.input.colour },
      output: card.output.kind,
      temperature: card.temperature,
      classes: card.labels.length,
      renamed: scorers.get(digest)?.formerLabels?.length ?? 0,
      streams: scored,
      versions: made.map(({ dataset, number, id, totals, provenance: { createdAt, parent } }) => ({
        dataset,
        number,
        id,
        rows: totals.rows,
        createdAt,
        parent: parent?.number ?? null,
      })),
      audits: await auditsOf(drawn, made, { said, names: scorers.get(digest) }),
    });
  }
  const archivedOf = ({ streams: all }: ListedTeacher): number => all.reduce((sum, { archived }) => sum + archived, 0);
  const order = ["stands", "next", "former", "scored", "store"];
  return listed.sort(
    (a, b) =>
      order.indexOf(a.state) - order.indexOf(b.state) ||
      archivedOf(b) - archivedOf(a) ||
      (a.digest < b.digest ? -1 : 1),
  );
}

function stateOf(digest: string, { stands, next, former }: StreamTeachers): ListedTeacher["state"] | null {
  if (digest === stands?.digest) return "stands";
  if (digest === next?.digest) return "next";
  return former.some((one) => one.digest === digest) ? "former" : null;
}

function trainingOf({ inputs, versionNumber, versionImages, labelledCounts, trainedAt }: TrainingRecord) {
  const { version } = inputs;
  return {
    version: version === null ? null : { dataset: version.dataset, number: versionNumber, teacher: version.teacher },
    versionImages,
    labelled: labelledCounts.reduce((sum, count) => sum + count, 0),
    trainedAt,
  };
}

function evaluationOf({
  labels,
  model,
  teacher,
  test,
  comparison,
  verdict,
  rule,
  evaluatedAt,
}: EvaluationRecord): ListedEvaluation {
  const measured = ({ digest, name, metrics }: EvaluationRecord["model"]): ListedEvaluation["model"] => {
    const { accuracy, interval, meanRecall, tailRecall } = metrics;
    return { digest, name, accuracy, interval: { low: interval.low, high: interval.high }, meanRecall, tailRecall };
  };
  const confused = model.metrics.confusion.flatMap((row, truth) => {
    const of = row.reduce((sum, count) => sum + count, 0);
    return row.flatMap((count, taken) =>
      truth === taken || count === 0 ? [] : [{ label: labels[truth]!, taken: labels[taken]!, count, of }],
    );
  });
  return {
    evaluatedAt,
    images: test.images,
    confidence: rule.confidence,
    model: measured(model),
    teacher: teacher === null ? null : measured(teacher),
    difference:
      comparison === null
        ? null
        : {
            value: comparison.difference,
            interval: { low: comparison.interval.low, high: comparison.interval.high },
            p: comparison.p,
          },
    verdict,
    confused: confused.sort((a, b) => b.count - a.count || b.count / b.of - a.count / a.of).slice(0, CONFUSED),
  };
}

/** Of the newest version of each dataset. */
async function auditsOf(
  drawn: DrawnRows,
  made: readonly Manifest[],
  {
    said,
    names,
  }: { readonly said: ReadonlyMap<string, readonly ImageLabel[]>; readonly names: ClassNames | undefined },
): Promise<ListedTeacher["audits"]> {
  // Nobody has said anything: nothing is read.
  if (said.size === 0) return [];
  const newest = new Map(made.map((manifest) => [manifest.dataset, manifest]));
  const audits = [];
  for (const manifest of newest.values()) {
    const meant = new MeantClasses(manifest, names);
    const { precision } = audit(await drawn.of(manifest), manifest, { said, meant }, { from: 0, limit: 0 });
    if (precision !== null) audits.push({ dataset: manifest.dataset, number: manifest.number, precision });
  }
  return audits;
}
