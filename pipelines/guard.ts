import type { Decoder } from "../connectors/decoder/decoder.js";
import type { ImageOpener, Source } from "../connectors/source/source.js";
import type { Store } from "../connectors/store/store.js";
import { throwIfStopped } from "../operators/archive/throw-if-stopped.js";
import { labelFrontier, labelledImages } from "../operators/archive/image-labels.js";
import { planDecode } from "../operators/image/decode-plan.js";
import { pdq, type Pdq } from "../operators/image/pdq.js";
import { addGuardSet, readGuard } from "../operators/version/guard-sets.js";
import { guardCount, guardEntries, type GuardSet } from "../schemas/guard.js";
import { sha256 } from "../schemas/canonical.js";
import { isSluiceError, SluiceError } from "../schemas/errors.js";
import { modelCardSchema } from "../schemas/model-card.js";
import type { OnProgress } from "../schemas/progress.js";
import { mapOrdered } from "./flow/flow.js";

export interface GuardOptions {
  readonly store: Store;
  readonly source: Source;
  /** Where the images were read, as it is listed */
  readonly from: string;
  readonly opener: ImageOpener;
  readonly decoder: Decoder;
  readonly maxBytes: number;
  readonly name: string;
  readonly distance: number;
  /** Whose labels are looked at: an image that people label is hardly one to be kept out */
  readonly stream: string;
  readonly atMs: number;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

export interface Guarded {
  readonly set: GuardSet;
  /** Files that are no pictures, by code */
  readonly refused: Readonly<Record<string, number>>;
  /** Images of the set that people said something of */
  readonly labelled: number;
  /** Whether a set of that name was there before */
  readonly replaces: boolean;
}

/** Images read and hashed at once */
const AT_ONCE = 4;
/** No teacher sees these pixels: the smallest plan there is. */
const { input, resize } = modelCardSchema
  .pick({ input: true, resize: true })
  .parse({ input: { width: 8, height: 8 }, resize: {} });

/**
 * Registers the images of a source as a guarded set: from then on neither they nor their near duplicates enter a version. Only digests and hashes are
 * kept. Throws E_SOURCE_… as reading the source does, E_SOURCE_EMPTY where none of it is a picture, E_CANCELLED.
 */
export async function guardImages(options: GuardOptions): Promise<Guarded> {
  const { store, source, opener, name, distance, stream, from, atMs, onProgress, signal } = options;
  const refused: Record<string, number> = {};
  const images: { digest: Uint8Array; hash: Uint8Array; quality: number }[] = [];
  const hashed = mapOrdered(source.items(null), AT_ONCE, async ({ record }) => {
    const bytes = record.bytes ?? (await read(opener, record.uri, options.maxBytes));
    return bytes instanceof SluiceError ? bytes : hashOf(bytes, options.decoder);
  });
  for await (const one of hashed) {
    throwIfStopped(signal, "Stopped on request; no set was registered.");
    if (one instanceof SluiceError) refused[one.code] = (refused[one.code] ?? 0) + 1;
    else images.push(one);
    onProgress?.({ phase: "guard", done: images.length, total: null, kept: 0, scored: 0, copied: 0, quarantined: 0 });
  }
  if (images.length === 0) {
    throw new SluiceError(
      "E_SOURCE_EMPTY",
      `Expected pictures in ${from}, found none${
        Object.keys(refused).length === 0
          ? ""
          : ` (${Object.entries(refused)
              .map(([code, count]) => `${code} ${count}`)
              .join(", ")})`
      }. No set was registered.`,
    );
  }
  const entries = guardEntries(images);
  const set: GuardSet = { name, atMs, from, distance, images: guardCount(entries), entries };
  const labels = await labelledImages(store, stream, await labelFrontier(store, stream));
  const labelled = new Set(
    images.map(({ digest }) => Buffer.from(digest).toString("hex")).filter((one) => labels.has(one)),
  );
  const replaces = (await readGuard(store)).sets.some((one) => one.name === name);
  await addGuardSet(store, set);
  return { set, refused, labelled: labelled.size, replaces };
}

/** Says that a set is guarded no more. Throws E_USAGE where there is none of that name. */
export async function dropGuard(store: Store, name: string, atMs: number): Promise<void> {
  const { sets } = await readGuard(store);
  if (!sets.some((one) => one.name === name)) {
    const known = sets.length === 0 ? "none is" : `there are ${sets.map((one) => one.name).join(", ")}`;
    throw new SluiceError("E_USAGE", `Expected a guarded set, found "${name}": ${known}.`, { name });
  }
  await addGuardSet(store, { name, atMs, from: null, distance: 0, images: 0, entries: new Uint8Array() });
}

export { readGuard };

async function read(opener: ImageOpener, uri: string, maxBytes: number): Promise<Uint8Array | SluiceError> {
  try {
    return await opener.open(uri, maxBytes);
  } catch (error) {
    if (isSluiceError(error) && error.code.startsWith("E_IMAGE_")) return error;
    throw error;
  }
}

/** What is no picture is nothing to be kept out: its error. */
async function hashOf(bytes: Uint8Array, decoder: Decoder) {
  try {
    const header = await decoder.header(bytes);
    let hashed: Pdq | undefined;
    await decoder.decode(bytes, header, planDecode(header, { input, resize }), (stored) => {
      hashed = pdq(stored, header.orientation);
    });
    return { digest: sha256(bytes), hash: hashed!.hash, quality: hashed!.quality };
  } catch (error) {
    if (isSluiceError(error) && error.code.startsWith("E_IMAGE_")) return error;
    throw error;
  }
}
