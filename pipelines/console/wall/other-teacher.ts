import type { Store } from "../../../connectors/store/store.js";
import { ArchiveReader } from "../../../operators/archive/archive-reader.js";
import { rowsOfImages } from "../../../operators/archive/rows-of-images.js";
import { readCards } from "../../../operators/archive/teacher-registry.js";
import { ranking } from "../../../operators/select/ranking.js";
import type { Selection } from "../../../schemas/dataset.js";
import { archivedOffsets } from "../../../schemas/frontier.js";

export interface OtherTeacher {
  readonly digest: string;
  readonly name: string;
}

/** What another teacher takes an image for */
export interface OtherOpinion {
  readonly label: string;
  readonly probability: number;
}

/** The teachers that scored a stream beside one, the one that scored most first. */
export async function otherTeachers(store: Store, stream: string, teacher: string): Promise<OtherTeacher[]> {
  const found: (OtherTeacher & { readonly archived: number })[] = [];
  for (const [digest, { name }] of await readCards(store)) {
    if (digest === teacher) continue;
    const frontier = await new ArchiveReader(store, { teacher: digest, stream }).frontier({ onGap: () => undefined });
    const archived = archivedOffsets(frontier);
    if (archived > 0) found.push({ digest, name, archived });
  }
  return found.sort((a, b) => b.archived - a.archived).map(({ digest, name }) => ({ digest, name }));
}

/** What a teacher takes images for, under a selection; those that it has not scored are left out. Throws E_SELECTION where the selection is not of its classes. */
export async function opinionsOf(
  store: Store,
  { teacher, stream, select }: { readonly teacher: string; readonly stream: string; readonly select: Selection },
  digests: readonly string[],
): Promise<Map<string, OtherOpinion>> {
  const card = (await readCards(store)).get(teacher);
  const opinions = new Map<string, OtherOpinion>();
  if (card === undefined) return opinions;
  const ranked = ranking(select, card);
  const archive = new ArchiveReader(store, { teacher, stream });
  for await (const { sha256, batch } of rowsOfImages(archive, digests)) {
    const { classes, keys } = ranked.scores(batch);
    const label = ranked.labels[classes[0]!];
    if (label !== undefined) opinions.set(sha256, { label, probability: Math.exp(keys[0]!) });
  }
  return opinions;
}
