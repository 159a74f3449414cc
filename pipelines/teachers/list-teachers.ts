import type { Store } from "../../connectors/store/store.js";
import { currentFrontier } from "../../operators/archive/archive-reader.js";
import { readCards } from "../../operators/archive/teacher-registry.js";
import type { EvaluationRecord, TrainingRecord } from "../../schemas/model-record.js";
import { streamTeachers } from "./change-teacher.js";
import { storedModels } from "./stored-models.js";

export interface ListedTeacher {
  readonly digest: string;
  readonly name: string;
  /** `stands`, is `next` to stand, stood `former`ly, or has only `scored`; or only lies in the `store` */
  readonly state: "stands" | "next" | "former" | "scored" | "store";
  /** Offsets of the stream that its chains have */
  readonly offsets: number;
  /** What it was trained from; null where that is not known */
  readonly training: TrainingRecord | null;
  /** Its newest evaluation; null where there is none */
  readonly evaluation: EvaluationRecord | null;
}

/** All teachers of a stream, the one that stands first, with how they came about: model → version → teacher → … → labelled images. */
export async function listTeachers(store: Store, stream: string): Promise<ListedTeacher[]> {
  const { stands, next, former } = await streamTeachers(store, stream);
  const cards = await readCards(store);
  const models = await storedModels(store);
  const names = new Map<string, string>();
  for (const { digest, name } of [stands, next, ...former].flatMap((one) => one ?? [])) names.set(digest, name);
  for (const [digest, { name }] of cards) names.set(digest, name);
  for (const [digest, { card }] of models) names.set(digest, card.name);
  const stateOf = (digest: string): ListedTeacher["state"] => {
    if (digest === stands?.digest) return "stands";
    if (digest === next?.digest) return "next";
    if (former.some((one) => one.digest === digest)) return "former";
    return cards.has(digest) ? "scored" : "store";
  };
  const teachers: ListedTeacher[] = [];
  for (const [digest, name] of names) {
    const frontier = cards.has(digest) ? await currentFrontier(store, { teacher: digest, stream }) : [];
    const model = models.get(digest);
    teachers.push({
      digest,
      name,
      state: stateOf(digest),
      offsets: frontier.reduce((sum, { origin, end }) => sum + end - origin, 0),
      training: model?.training ?? null,
      evaluation: model?.evaluation ?? null,
    });
  }
  const order = ["stands", "next", "former", "scored", "store"];
  return teachers.sort((a, b) => order.indexOf(a.state) - order.indexOf(b.state) || b.offsets - a.offsets);
}
