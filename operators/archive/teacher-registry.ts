import { isDeepStrictEqual } from "node:util";
import type { Store } from "../../connectors/store/store.js";
import { areInvented, namedClassesSchema, sameNames, type ClassNames } from "../../schemas/class-names.js";
import { messageOf, SluiceError } from "../../schemas/errors.js";
import { keys, teacherPlace } from "../../schemas/keys.js";
import { modelCardSchema, teacherDigest, type ModelCard } from "../../schemas/model-card.js";
import { openSealedJson, sealJson } from "../../schemas/sealed-json.js";

/** A teacher's card with what its classes are called now, and what they were called before. */
export type ArchivedCard = ModelCard & ClassNames;

/** Which names may take the place of those that stand: any, or only such as never stood. */
export type Renaming = "any" | "new";

export interface SavedCard {
  readonly card: ArchivedCard;
  /** What the classes were called until now, where that was something else */
  readonly before: readonly string[] | null;
  /** The card's own names, where others stand and go on standing */
  readonly passedOver: readonly string[] | null;
}

/**
 * Puts a teacher's card beside the scores it gave: what rebuilds from the archive alone needs of a teacher. What its classes are
 * called is the newest of a row of objects, each created only if absent, after the names in the card itself. Names that nobody gave
 * replace none; with `renaming` "new", neither do those that others have replaced: a process that was started with an older card
 * does not turn them back.
 */
export async function saveCard(store: Store, card: ModelCard, renaming: Renaming = "new"): Promise<SavedCard> {
  const teacher = teacherDigest(card);
  await store.putIfAbsent(keys.teacher(teacher), sealJson(card));
  for (;;) {
    const stands = await readCard(store, teacher);
    const earlier = stands.formerLabels ?? [];
    const stay = (passedOver: readonly string[] | null): SavedCard => ({
      card: { ...card, labels: stands.labels, formerLabels: earlier },
      before: null,
      passedOver,
    });
    if (sameNames(stands.labels, card.labels)) return stay(null);
    if (areInvented(card.labels)) return stay(card.labels);
    if (renaming === "new" && earlier.some((labels) => sameNames(labels, card.labels))) return stay(card.labels);
    const named = { schemaVersion: 1, labels: card.labels } as const;
    const key = keys.teacherLabels(teacher, earlier.length + 1);
    if ((await store.putIfAbsent(key, sealJson(named))) === "created") {
      return {
        card: { ...card, formerLabels: [stands.labels, ...earlier] },
        before: stands.labels,
        passedOver: null,
      };
    }
  }
}

/** The card with what its classes are called now: as it is, where the teacher has not scored into this store yet. */
export async function presentCard(store: Store, card: ModelCard): Promise<ArchivedCard> {
  const teacher = teacherDigest(card);
  const archived = (await cardsBelow(store, `teachers/${teacher}/`)).get(teacher);
  return archived === undefined ? card : { ...card, labels: archived.labels, formerLabels: archived.formerLabels };
}

/** The card of a teacher that has scored into this store. Throws E_TEACHER_CARD. */
async function readCard(store: Store, teacher: string): Promise<ArchivedCard> {
  const card = (await cardsBelow(store, `teachers/${teacher}/`)).get(teacher);
  if (card !== undefined) return card;
  throw new SluiceError("E_TEACHER_CARD", `Expected a model card at ${keys.teacher(teacher)}, found none. Restore it.`);
}

/**
 * The cards of all teachers that have scored into this store, by digest, with what their classes are called now. Throws
 * E_TEACHER_CARD for a damaged one.
 */
export async function readCards(store: Store): Promise<Map<string, ArchivedCard>> {
  return cardsBelow(store, "teachers/");
}

async function cardsBelow(store: Store, prefix: string): Promise<Map<string, ArchivedCard>> {
  const found = new Map<string, { card?: ModelCard; names: Map<number, readonly string[]> }>();
  for await (const { key } of store.list(prefix)) {
    const place = teacherPlace(key);
    if (place === null) continue;
    const of = found.get(place.teacher) ?? { names: new Map<number, readonly string[]>() };
    found.set(place.teacher, of);
    const bytes = await store.get(key);
    if (place.labels === null) of.card = parsed(bytes, key, (json) => modelCardSchema.parse(json));
    else
      of.names.set(
        place.labels,
        parsed(bytes, key, (json) => namedClassesSchema.parse(json).labels),
      );
  }
  const cards = new Map<string, ArchivedCard>();
  for (const [teacher, { card, names }] of found) {
    if (card === undefined) continue;
    const numbers = [...names.keys()].sort((a, b) => b - a);
    const [labels, ...former] = [...numbers.map((number) => names.get(number)!), card.labels];
    const wrong = [labels, ...former].findIndex((one) => one.length !== card.labels.length);
    if (
      wrong >= 0 ||
      !isDeepStrictEqual(
        numbers,
        [...numbers.keys()].map((at) => numbers.length - at),
      )
    ) {
      const key = keys.teacherLabels(teacher, numbers[Math.max(0, wrong)]!);
      throw damaged(key, `${card.labels.length} names, and those of every number before`, null);
    }
    cards.set(teacher, { ...card, labels: [...labels], ...(former.length === 0 ? {} : { formerLabels: former }) });
  }
  return cards;
}

/** The card as it was when classes were called `labels`: names that were given later mean nothing then. */
export function cardNamed(card: ArchivedCard, labels: readonly string[]): ArchivedCard {
  const all = [card.labels, ...(card.formerLabels ?? [])];
  const at = all.findIndex((one) => sameNames(one, labels));
  return { ...card, labels: [...labels], formerLabels: at < 0 ? [] : all.slice(at + 1) };
}

function parsed<T>(bytes: Uint8Array, key: string, parse: (json: unknown) => T): T {
  try {
    return parse(openSealedJson(bytes));
  } catch (cause) {
    throw damaged(key, key.endsWith("model-card.json") ? "a model card" : "the names of classes", cause);
  }
}

function damaged(key: string, expected: string, cause: unknown): SluiceError {
  const found = cause === null ? "others" : messageOf(cause);
  return new SluiceError("E_TEACHER_CARD", `Expected ${expected} at ${key}, found ${found}. Restore it.`, { cause });
}
