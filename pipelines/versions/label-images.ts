import type { Store } from "../../connectors/store/store.js";
import { labelIndex } from "../../operators/select/label-index.js";
import { appendLabels, archivedLabels, labelFrontier, labelledImages } from "../../operators/archive/image-labels.js";
import { LabelledImages } from "../../operators/select/retractions.js";
import { readCards } from "../../operators/archive/teacher-registry.js";
import { throwIfStopped } from "../../operators/archive/throw-if-stopped.js";
import { readDeclarations } from "../../operators/version/declarations.js";
import { isSluiceError, SluiceError } from "../../schemas/errors.js";
import { imageLabelSchema, type ImageLabel } from "../../schemas/image-label.js";
import type { Manifest } from "../../schemas/manifest.js";
import { readIndexColumns } from "./index-reader.js";
import { presentName, type NamedClass } from "./present-name.js";
import { sayOnTopic, type LabelTopic } from "../kafka/take-in-labels.js";

/** What is said, before it is known of which images, when and by whom. */
export type Statement =
  { readonly verdict: "is" | "not"; readonly class: string } | { readonly verdict: "none" | "duplicate" | "withdrawn" };

export interface Saying {
  readonly timeMs: number;
  readonly by: string | null;
}

/** One label an image. Throws E_USAGE for what is no SHA-256 in hexadecimal. */
export function labelsOf(digests: readonly string[], statement: Statement, saying: Saying): ImageLabel[] {
  return [...new Set(digests)].map((text) => {
    const sha256 = text.replace(/^sha256:/, "").toLowerCase();
    const label = imageLabelSchema.safeParse({ sha256, ...statement, ...saying });
    if (label.success) return label.data;
    throw new SluiceError(
      "E_USAGE",
      `Expected an image's SHA-256 (64 hexadecimal digits, or at least the first six of an image of a version), found "${text}". ` +
        "Images of a version can also be named by their ranks, with --rows.",
    );
  });
}

/** First digits of a digest: fewer than six would name some other image all too easily. */
export function isShortDigest(text: string): boolean {
  return /^(sha256:)?[0-9a-f]{6,63}$/i.test(text);
}

/** Digests of which only the first digits are given, completed from a version's rows; others as they are. Throws E_USAGE. */
export async function digestsFrom(
  store: Store,
  manifest: Manifest,
  texts: readonly string[],
  signal?: AbortSignal,
): Promise<string[]> {
  const found = new Map(
    texts.filter(isShortDigest).map((text) => [text.replace(/^sha256:/i, "").toLowerCase(), new Set<string>()]),
  );
  const starts = [...found.keys()];
  if (starts.length === 0) return [...texts];
  for await (const columns of readIndexColumns(store, manifest)) {
    if (signal !== undefined) throwIfStopped(signal, "Nobody waits for what was searched any more.");
    for (let row = 0; row < columns.count; row++) {
      const sha256 = columns.sha256[row]!;
      for (const start of starts) if (sha256.startsWith(start)) found.get(start)!.add(sha256);
    }
  }
  return texts.map((text) => {
    if (!isShortDigest(text)) return text;
    const images = [...found.get(text.replace(/^sha256:/i, "").toLowerCase())!].sort();
    if (images.length === 1) return images[0]!;
    const version = `version ${manifest.dataset}/${manifest.number}`;
    throw new SluiceError(
      "E_USAGE",
      images.length === 0
        ? `Expected the first digits of an image of ${version}, found "${text}", with which none begins. Name another version with --of, or give all 64 digits.`
        : `Expected the first digits of one image of ${version}, found "${text}", with which ${images.length} begin: ${images.slice(0, 3).join(", ")}. Give more digits.`,
    );
  });
}

/** The digests of rows of a version: of the class of that label, at those ranks. Throws E_SELECTION, E_USAGE. */
export async function digestsAt(
  store: Store,
  manifest: Manifest,
  label: string,
  ranks: readonly number[],
): Promise<string[]> {
  const version = `${manifest.dataset}/${manifest.number}`;
  const labels = manifest.classes.map((one) => one.label);
  const index = labelIndex({ labels }, label, `--rows for version ${version}`);
  const wanted = new Set(ranks);
  const found = new Map<number, string>();
  for await (const columns of readIndexColumns(store, manifest)) {
    for (let row = 0; row < columns.count; row++) {
      if (columns.class[row] === index && wanted.has(columns.rank[row]!)) {
        found.set(columns.rank[row]!, columns.sha256[row]!);
      }
    }
  }
  const missing = ranks.find((rank) => !found.has(rank));
  if (missing === undefined) return ranks.map((rank) => found.get(rank)!);
  throw new SluiceError(
    "E_USAGE",
    `Expected ranks from 1 to ${manifest.classes[index]!.count} of class "${label}" in version ${version}, found ${missing}.`,
  );
}

export interface LabelImagesOptions {
  /** Accept classes that no teacher of the archive has */
  readonly anyClass: boolean;
  readonly topic: LabelTopic | null;
  /** Where the label of that place in the list was read, for messages */
  readonly placeOf?: ((at: number) => string) | undefined;
  /** All that was said of an image by now, in order; by default the label log is read for it */
  readonly said?: ((sha256: string) => readonly ImageLabel[]) | undefined;
}

/**
 * Appends labels to a stream's label log; they hold for every version cut from then on. With a labels topic they go
 * through that, where its other readers see them too. A class may be named as `#12`, or by what it was called before: it is
 * recorded by what it is called now. `anyClass` accepts classes that no teacher of the archive has. Throws E_SELECTION for such a
 * class otherwise, and for what names several. Without a topic, what stands already is counted and not appended; `place` says where the rest is.
 */
export async function labelImages(
  store: Store,
  stream: string,
  labels: readonly ImageLabel[],
  { anyClass, topic, placeOf, said }: LabelImagesOptions,
): Promise<Labelled> {
  const merged = await mergedClasses(store, stream);
  const named = await withPresentNames(store, labels, { anyClass, placeOf, merged });
  const standing =
    said === undefined
      ? await labelledImages(store, stream, await labelFrontier(store, stream))
      : standingOf(labels.flatMap(({ sha256 }) => said(sha256)));
  refuseErased(standing, labels);
  if (topic !== null) {
    // Others may have said more on the topic than is archived: what stands is not known here.
    const hasMerged = named.some((label) => "class" in label && merged.has(label.class));
    if (named.length > 0) await sayOnTopic(topic, named, anyClass || hasMerged);
    return { labelled: named.length, known: 0, place: null };
  }
  const fresh = named.filter((label) => {
    const known = standing.says(label);
    if (!known) standing.take(label);
    return !known;
  });
  const place = fresh.length === 0 ? null : await appendLabels(store, stream, fresh);
  return { labelled: fresh.length, known: named.length - fresh.length, place };
}

function standingOf(said: readonly ImageLabel[]): LabelledImages {
  const standing = new LabelledImages();
  for (const label of said) standing.take(label);
  return standing;
}

/** What is erased stays so: a label of it would say nothing. */
function refuseErased(standing: LabelledImages, labels: readonly ImageLabel[]): void {
  const erased = labels.filter(({ sha256 }) => standing.isErased(sha256)).map(({ sha256 }) => sha256);
  const [first] = erased;
  if (first === undefined) return;
  const more = erased.length === 1 ? "" : ` and ${erased.length - 1} more`;
  throw new SluiceError(
    "E_USAGE",
    `Expected images that are not erased, found ${first}${more}: \`sluice erase\` is for ever and cannot be withdrawn. Nothing was appended; leave ${erased.length === 1 ? "it" : "them"} out.`,
    { erased },
  );
}

export interface Labelled {
  readonly labelled: number;
  /** Labels that say what stands already */
  readonly known: number;
  /** Offsets of those that were appended; null where there are none, and on a topic */
  readonly place: { readonly partition: number; readonly start: number; readonly end: number } | null;
}

/** Classes that every declared dataset of a stream makes of several of the teacher's, by the same name: a label may name one of them. */
async function mergedClasses(store: Store, stream: string): Promise<ReadonlySet<string>> {
  const { datasets } = await readDeclarations(store, stream);
  const [first, ...others] = datasets.map(({ dataset }) => new Set(Object.keys(dataset.select.labels ?? {})));
  return new Set([...(first ?? [])].filter((name) => others.every((names) => names.has(name))));
}

async function withPresentNames(
  store: Store,
  labels: readonly ImageLabel[],
  {
    anyClass,
    placeOf,
    merged,
  }: Pick<LabelImagesOptions, "anyClass" | "placeOf"> & { readonly merged: ReadonlySet<string> },
): Promise<readonly ImageLabel[]> {
  const cards = [...(await readCards(store)).values()];
  const known = new Map<string, NamedClass>();
  const presentNameAt = (label: NamedClass, at: number): NamedClass => {
    try {
      return presentName(store.place, cards, label, anyClass);
    } catch (error) {
      if (isSluiceError(error, "E_SELECTION") && merged.has(label.class)) return { class: label.class };
      if (placeOf === undefined || !isSluiceError(error, "E_SELECTION")) throw error;
      throw new SluiceError("E_SELECTION", `In ${placeOf(at)}: ${error.message}`, { ...error.context, cause: error });
    }
  };
  return labels.map((label, at) => {
    if (!("class" in label)) return label;
    const id = `${label.number ?? ""} ${label.class}`;
    const named = known.get(id) ?? presentNameAt(label, at);
    known.set(id, named);
    return { ...label, number: undefined, ...named };
  });
}

/** All that was said of a stream's images, in its order. */
export async function* listLabels(store: Store, stream: string): AsyncGenerator<ImageLabel, void, undefined> {
  yield* archivedLabels(store, stream, await labelFrontier(store, stream));
}
