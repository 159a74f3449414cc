import type { Store } from "../../connectors/store/store.js";
import { ArchiveReader } from "../../operators/archive/archive-reader.js";
import { readCards } from "../../operators/archive/teacher-registry.js";
import { declaredStreams } from "../../operators/version/declarations.js";
import type { ListedTeacher } from "../../schemas/api/teachers.js";
import type { ImageLabel } from "../../schemas/image-label.js";
import type { Manifest } from "../../schemas/manifest.js";
import type { IndexGroups } from "../versions/index-groups.js";
import { listVersions, publishedDatasets } from "../versions/versions.js";
import { audit } from "./review/review-queue.js";

export interface TeachersPlace {
  readonly store: Store;
  readonly groups: IndexGroups;
  /** The stream that is served; others that were declared are told of, too */
  readonly stream: string;
  /** Digest of the teacher that is declared; null where none is */
  readonly declared: string | null;
}

/**
 * The teachers that have scored into a store: their cards, what they scored, the versions that were made by them, and how right people found the newest one
 * of each dataset. Those that are declared first, then by what they scored.
 */
export async function listTeachers(
  { store, groups, stream, declared }: TeachersPlace,
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
  for (const [digest, card] of await readCards(store)) {
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
      isDeclared: digest === declared,
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
      renamed: card.formerLabels?.length ?? 0,
      streams: scored,
      versions: made.map(({ dataset, number, id, totals, provenance: { createdAt, parent } }) => ({
        dataset,
        number,
        id,
        rows: totals.rows,
        createdAt,
        parent: parent?.number ?? null,
      })),
      audits: await auditsOf(groups, made, said),
    });
  }
  const archivedOf = ({ streams: all }: ListedTeacher): number => all.reduce((sum, { archived }) => sum + archived, 0);
  return listed.sort(
    (a, b) =>
      Number(b.isDeclared) - Number(a.isDeclared) || archivedOf(b) - archivedOf(a) || (a.digest < b.digest ? -1 : 1),
  );
}

/** Of the newest version of each dataset. */
async function auditsOf(
  groups: IndexGroups,
  made: readonly Manifest[],
  said: ReadonlyMap<string, readonly ImageLabel[]>,
): Promise<ListedTeacher["audits"]> {
  // Nobody has said anything: nothing is read.
  if (said.size === 0) return [];
  const newest = new Map(made.map((manifest) => [manifest.dataset, manifest]));
  const audits = [];
  for (const manifest of newest.values()) {
    const { precision } = await audit(groups, manifest, said, { from: 0, limit: 0 });
    if (precision !== null) audits.push({ dataset: manifest.dataset, number: manifest.number, precision });
  }
  return audits;
}
