import type { AskedImage, ImageOpener } from "../../connectors/source/source.js";
import type { Store } from "../../connectors/store/store.js";
import { sha256Hex } from "../../schemas/canonical.js";
import { isSluiceError, messageOf, type SluiceError } from "../../schemas/errors.js";
import { keys } from "../../schemas/keys.js";
import type { RowGroup } from "../version/publish-plan.js";
import type { NeededImage, ReadImage, ReadImages } from "../version/fetched-images.js";
import { OtherPlaces } from "../archive/other-places.js";

/** Why an image's bytes are absent. */
export interface Absence {
  readonly sha256: string;
  readonly uri: string;
  readonly reason: string;
}

export interface ImageBytes {
  readonly read: ReadImages;
  /** Names the rows that are asked for next: where one of them is missing, the archive is asked where else it was seen. */
  readonly expect: (group: RowGroup) => void;
  /** The first 1000 absences, for people; each row that lacks its bytes is counted in the version itself. */
  readonly absences: readonly Absence[];
}

export interface ImageBytesOptions {
  readonly store: Store;
  readonly opener?: ImageOpener;
  /** Whose archive says where else images were seen; without it nobody is asked */
  readonly archive?: { readonly teacher: string; readonly stream: string };
}

const ABSENCES_KEPT = 1000;

/** Blobs read from the store at once */
const BLOBS_TOGETHER = { images: 16, bytes: 32 * 2 ** 20 };

/** An image that is looked for. */
interface Sought extends NeededImage {
  readonly at: number;
  readonly tried: Set<string>;
  /** Why the store has no blob of it; null until it was asked */
  blob: string | null;
  /** Why its uri does not give it; null until it was asked */
  place: string | null;
}

/**
 * Finds images' bytes, each source read once in its own order: what the store kept by content, else what the uri refers to, else what
 * lies where the image was relocated to, else a blob of another record, else any other place where it was seen. Only bytes whose SHA-256
 * is the row's count; anything else is an absence with its reason. Throws what the store throws for failed I/O (E_STORE_IO …): a store
 * that is away is no absence.
 */
export function imageBytes({ store, opener, archive }: ImageBytesOptions): ImageBytes {
  const absences: Absence[] = [];
  const places = archive === undefined ? null : new OtherPlaces(store, archive);

  const blobOf = async (one: Sought): Promise<Uint8Array | null> => {
    const key = keys.image(one.digest);
    try {
      const bytes = await store.get(key);
      if (sha256Hex(bytes) === one.digest) return bytes;
      one.blob = `the blob ${key} has other bytes than its name says`;
    } catch (error) {
      if (!isSluiceError(error, "E_STORE_MISSING")) throw error;
      one.blob = "the store has no blob of it";
    }
    return null;
  };

  /** Yields what the store has, and takes it out of `sought`. */
  async function* fromStore(sought: Set<Sought>, wanted: readonly Sought[]): AsyncGenerator<ReadImage> {
    for (let from = 0; from < wanted.length;) {
      const group: Sought[] = [];
      for (let bytes = 0; from < wanted.length && group.length < BLOBS_TOGETHER.images; from++) {
        bytes += wanted[from]!.sizeBytes;
        if (group.length > 0 && bytes > BLOBS_TOGETHER.bytes) break;
        group.push(wanted[from]!);
      }
      const blobs = await Promise.all(group.map(async (one) => ({ one, bytes: await blobOf(one) })));
      for (const { one, bytes } of blobs) {
        if (bytes === null) continue;
        sought.delete(one);
        yield { at: one.at, bytes };
      }
    }
  }

  /** Yields what lies at `uris`, and takes it out of `sought`; of what does not, the first place's reason is kept. */
  async function* fromPlaces(
    sought: Set<Sought>,
    uris: readonly { readonly one: Sought; readonly uri: string }[],
  ): AsyncGenerator<ReadImage> {
    if (opener === undefined) {
      for (const { one } of uris) one.place ??= "no source is given that could open its uri";
      return;
    }
    for (const { one, uri } of uris) one.tried.add(uri);
    const asked = uris.map(({ one, uri }): AskedImage => ({ uri, sizeBytes: one.sizeBytes }));
    for await (const { at, image } of opener.openMany(asked)) {
      const { one } = uris[at]!;
      if (image instanceof Uint8Array && sha256Hex(image) === one.digest) {
        sought.delete(one);
        yield { at: one.at, bytes: image };
      } else one.place ??= reasonOf(image);
    }
  }

  /** Looks for each image in the first of its places that was not tried, then in the second … */
  async function* inTurn(
    sought: Set<Sought>,
    placesOf: (one: Sought) => Promise<readonly string[]>,
  ): AsyncGenerator<ReadImage> {
    for (;;) {
      const uris: { one: Sought; uri: string }[] = [];
      for (const one of sought) {
        const uri = (await placesOf(one)).find((place) => !one.tried.has(place));
        if (uri !== undefined) uris.push({ one, uri });
      }
      if (uris.length === 0) return;
      yield* fromPlaces(sought, uris);
    }
  }

  const elsewhere = async (uri: string): Promise<readonly string[]> => (await opener?.elsewhere?.(uri)) ?? [];

  async function* read(needed: readonly NeededImage[]): AsyncGenerator<ReadImage, void, undefined> {
    const sought = new Set(
      needed.map((one, at): Sought => ({ ...one, at, tried: new Set(), blob: null, place: null })),
    );
    yield* fromStore(
      sought,
      [...sought].filter(({ isKept }) => isKept),
    );
    yield* fromPlaces(
      sought,
      [...sought].map((one) => ({ one, uri: one.uri })),
    );
    yield* inTurn(sought, ({ uri }) => elsewhere(uri));
    yield* fromStore(
      sought,
      [...sought].filter(({ blob }) => blob === null),
    );
    for (const reach of ["own", "all"] as const) {
      if (opener === undefined || places === null || sought.size === 0) break;
      yield* inTurn(sought, async ({ digest }) => {
        const seen = await places.of(digest, reach);
        const moved = await Promise.all(seen.map(async (place) => [place, ...(await elsewhere(place))]));
        return moved.flat();
      });
    }
    for (const { at, digest: sha256, uri, blob, place } of sought) {
      if (absences.length < ABSENCES_KEPT) {
        const moved = await elsewhere(uri);
        const nor = moved.length === 0 ? "" : ` Nor is it at ${moved.join(", nor at ")}.`;
        absences.push({ sha256, uri, reason: `${blob}; ${place}${nor}` });
      }
      yield { at, bytes: null };
    }
  }
  return { read, expect: (group) => places?.expect(group), absences };
}

/** Why what was found at a place is not the image. More bytes than it had are no matter of `decode.maxBytes` here. */
function reasonOf(found: Uint8Array | SluiceError): string {
  const isOther = found instanceof Uint8Array || found.code === "E_IMAGE_SIZE";
  return isOther ? "its uri now has other bytes" : messageOf(found);
}
