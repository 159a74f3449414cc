import type { AskedImage, ImageOpener } from "../../connectors/source/source.js";
import type { Store } from "../../connectors/store/store.js";
import { sha256Hex } from "../../schemas/canonical.js";
import { messageOf, type SluiceError } from "../../schemas/errors.js";
import type { RowGroup } from "../version/publish-plan.js";
import type { NeededImage, ReadImage, ReadImages } from "../version/fetched-images.js";
import { OtherPlaces, type SeenAt } from "../archive/other-places.js";
import { PackReader } from "../pack/pack-reader.js";

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

/** An image that is looked for. */
interface Sought extends NeededImage {
  readonly at: number;
  /** Uris and packs */
  readonly tried: Set<string>;
  /** Why no pack gives it; null until one was asked */
  kept: string | null;
  /** Why its uri does not give it; null until it was asked */
  place: string | null;
}

/**
 * Finds images' bytes, each source read once in its own order: the pack that its row names, else what the uri refers to, else what lies where the
 * image was relocated to, else the packs and places of other records of it. Only bytes whose SHA-256
 * is the row's count; anything else is an absence with its reason. Throws what the store throws for failed I/O (E_STORE_IO …): a store
 * that is away is no absence.
 */
export function imageBytes({ store, opener, archive }: ImageBytesOptions): ImageBytes {
  const absences: Absence[] = [];
  const places = archive === undefined ? null : new OtherPlaces(store, archive);

  const packs = new PackReader(store);

  /** Yields what packs have, and takes it out of `sought`. */
  async function* fromPacks(
    sought: Set<Sought>,
    wanted: readonly { readonly one: Sought; readonly pack: string }[],
  ): AsyncGenerator<ReadImage> {
    for (const { one, pack } of wanted) one.tried.add(pack);
    const members = wanted.map(({ one, pack }) => ({ digest: one.digest, pack }));
    for await (const { at, bytes, reason } of packs.readMany(members)) {
      const { one } = wanted[at]!;
      if (bytes === null) {
        one.kept ??= reason;
        continue;
      }
      sought.delete(one);
      yield { at: one.at, bytes };
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
    from: (wanted: readonly { readonly one: Sought; readonly place: string }[]) => AsyncGenerator<ReadImage>,
  ): AsyncGenerator<ReadImage> {
    for (;;) {
      const wanted: { one: Sought; place: string }[] = [];
      for (const one of sought) {
        const place = (await placesOf(one)).find((known) => !one.tried.has(known));
        if (place !== undefined) wanted.push({ one, place });
      }
      if (wanted.length === 0) return;
      yield* from(wanted);
    }
  }

  const elsewhere = async (uri: string): Promise<readonly string[]> => (await opener?.elsewhere?.(uri)) ?? [];

  async function* read(needed: readonly NeededImage[]): AsyncGenerator<ReadImage, void, undefined> {
    const sought = new Set(
      needed.map((one, at): Sought => ({ ...one, at, tried: new Set(), kept: null, place: null })),
    );
    yield* fromPacks(
      sought,
      [...sought].flatMap((one) => (one.pack === null ? [] : [{ one, pack: one.pack }])),
    );
    const atUris = (wanted: readonly { readonly one: Sought; readonly place: string }[]) =>
      fromPlaces(
        sought,
        wanted.map(({ one, place }) => ({ one, uri: place })),
      );
    yield* atUris([...sought].map((one) => ({ one, place: one.uri })));
    yield* inTurn(sought, ({ uri }) => elsewhere(uri), atUris);
    for (const reach of ["own", "all"] as const) {
      if (places === null || sought.size === 0) break;
      const seenOf = ({ digest }: Sought): Promise<readonly SeenAt[]> => places.of(digest, reach);
      yield* inTurn(
        sought,
        async (one) => (await seenOf(one)).flatMap(({ pack }) => pack ?? []),
        (wanted) =>
          fromPacks(
            sought,
            wanted.map(({ one, place }) => ({ one, pack: place })),
          ),
      );
      if (opener === undefined) continue;
      yield* inTurn(
        sought,
        async (one) => {
          const uris = (await seenOf(one)).flatMap(({ uri }) => uri ?? []);
          const moved = await Promise.all(uris.map(async (uri) => [uri, ...(await elsewhere(uri))]));
          return moved.flat();
        },
        atUris,
      );
    }
    for (const { at, digest: sha256, uri, kept, place } of sought) {
      if (absences.length < ABSENCES_KEPT) {
        const moved = await elsewhere(uri);
        const nor = moved.length === 0 ? "" : ` Nor is it at ${moved.join(", nor at ")}.`;
        absences.push({ sha256, uri, reason: `${kept ?? "no pack kept it"}; ${place}${nor}` });
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
