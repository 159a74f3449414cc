import type { Store } from "../../connectors/store/store.js";
import { canonicalJson } from "../../schemas/canonical.js";
import { SluiceError } from "../../schemas/errors.js";
import { keys } from "../../schemas/keys.js";
import { modelCardSchema, teacherDigest, type ModelCard } from "../../schemas/model-card.js";

/** Puts a teacher's card beside the scores it gave: what rebuilds from the archive alone needs of a teacher. */
export async function saveCard(store: Store, card: ModelCard): Promise<void> {
  await store.putIfAbsent(keys.teacher(teacherDigest(card)), Buffer.from(canonicalJson(card)));
}

/** The cards of all teachers that have scored into this store, by digest. Throws E_TEACHER_CARD for a damaged one. */
export async function readCards(store: Store): Promise<Map<string, ModelCard>> {
  const cards = new Map<string, ModelCard>();
  for await (const { key } of store.list("teachers/")) {
    let card: ModelCard;
    try {
      card = modelCardSchema.parse(JSON.parse(Buffer.from(await store.get(key)).toString()));
    } catch (cause) {
      throw new SluiceError("E_TEACHER_CARD", `Expected a model card at ${key}, found something else. Restore it.`, {
        cause,
      });
    }
    cards.set(teacherDigest(card), card);
  }
  return cards;
}
