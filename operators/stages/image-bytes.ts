import type { ImageOpener } from "../../connectors/source/source.js";
import type { Store } from "../../connectors/store/store.js";
import { sha256Hex } from "../../schemas/canonical.js";
import { isSluiceError, messageOf } from "../../schemas/errors.js";
import { keys } from "../../schemas/keys.js";
import type { RowGroup } from "../pure/publish-plan.js";
import { OtherPlaces } from "./other-places.js";
import type { BytesOf } from "./shard-writer.js";

/** Why an image's bytes are absent. */
export interface Absence {
  readonly sha256: string;
  readonly uri: string;
  readonly reason: string;
}

export interface ImageBytes {
  readonly bytesOf: BytesOf;
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

/**
 * Finds an image's bytes: the blob in the store by content, else what the uri refers to, else what lies where the image was
 * relocated to, else at any other place where it was seen. Only bytes whose SHA-256 is the row's count; anything else is an
 * absence with its reason. Throws what the store throws for failed I/O (E_STORE_IO …): a store that is away is no absence.
 */
export function imageBytes({ store, opener, archive }: ImageBytesOptions): ImageBytes {
  const absences: Absence[] = [];
  const places = archive === undefined ? null : new OtherPlaces(store, archive);

  const fromStore = async (digest: string): Promise<Uint8Array | string> => {
    try {
      const bytes = await store.get(keys.image(digest));
      return matches(bytes, digest) ?? `the blob ${keys.image(digest)} has other bytes than its name says`;
    } catch (error) {
      if (isSluiceError(error, "E_STORE_MISSING")) return "the store has no blob of it";
      throw error;
    }
  };

  const fromPlace = async (digest: string, uri: string, sizeBytes: number): Promise<Uint8Array | string> => {
    if (opener === undefined) return "no source is given that could open its uri";
    try {
      return matches(await opener.open(uri, sizeBytes), digest) ?? "its uri now has other bytes";
    } catch (error) {
      if (isSluiceError(error) && error.code.startsWith("E_IMAGE_")) return messageOf(error);
      throw error;
    }
  };

  /** At a uri, or where it was relocated to. */
  const fromUri = async (digest: string, uri: string, sizeBytes: number): Promise<Uint8Array | string> => {
    const found = await fromPlace(digest, uri, sizeBytes);
    if (typeof found !== "string") return found;
    for (const place of (await opener?.elsewhere?.(uri)) ?? []) {
      const there = await fromPlace(digest, place, sizeBytes);
      if (typeof there !== "string") return there;
    }
    return found;
  };

  const fromOtherPlaces = async (digest: string, uri: string, sizeBytes: number): Promise<Uint8Array | null> => {
    const tried = new Set([uri]);
    for (const reach of ["own", "all"] as const) {
      for (const place of (await places?.of(digest, reach)) ?? []) {
        if (tried.has(place)) continue;
        tried.add(place);
        const there = await fromUri(digest, place, sizeBytes);
        if (typeof there !== "string") return there;
      }
    }
    return null;
  };

  const bytesOf: BytesOf = async (digest, uri, sizeBytes) => {
    const blob = await fromStore(digest);
    if (typeof blob !== "string") return blob;
    const referred = await fromUri(digest, uri, sizeBytes);
    if (typeof referred !== "string") return referred;
    const other = opener === undefined ? null : await fromOtherPlaces(digest, uri, sizeBytes);
    if (other !== null) return other;
    if (absences.length < ABSENCES_KEPT) absences.push({ sha256: digest, uri, reason: `${blob}; ${referred}` });
    return null;
  };
  return { bytesOf, expect: (group) => places?.expect(group), absences };
}

function matches(bytes: Uint8Array, digest: string): Uint8Array | null {
  return sha256Hex(bytes) === digest ? bytes : null;
}
