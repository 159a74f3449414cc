import { relocatedUri } from "../../connectors/source/relocated-uri.js";
import type { ImageOpener } from "../../connectors/source/source.js";
import type { Store } from "../../connectors/store/store.js";
import { readRelocations } from "../../operators/archive/relocations.js";
import { isSluiceError, SluiceError } from "../../schemas/errors.js";
import type { Relocation } from "../../schemas/relocation.js";

/** How long it is taken that nobody has said another relocation meanwhile, ms: images that vanished come in thousands. */
const FRESH_MS = 10_000;

/**
 * Opens what a uri names, and where nothing is there any more, what lies where `sluice relocate` says that it went. The
 * uri's own place comes first: another image may lie where a relocation leads to. What has been relocated is read when
 * the first image has vanished, and looked at again later, so that a process which runs for days heeds what is said meanwhile.
 */
export function relocatedOpener(
  opener: ImageOpener,
  { store, nowMs }: { readonly store: Store; readonly nowMs: () => number },
): ImageOpener {
  let known: readonly Relocation[] = [];
  let readAtMs = Number.NEGATIVE_INFINITY;
  let reading: Promise<void> | null = null;
  const refresh = async (): Promise<void> => {
    const more = await readRelocations(store, known.length);
    known = [...known, ...more];
    readAtMs = nowMs();
  };
  const elsewhere = async (uri: string): Promise<string[]> => {
    if (nowMs() - readAtMs >= FRESH_MS) {
      reading ??= refresh().finally(() => {
        reading = null;
      });
      await reading;
    }
    return placesAfter(uri, known);
  };
  return {
    elsewhere,
    reaches: (uri) => opener.reaches?.(uri) ?? true,
    openMany: (asked) => opener.openMany(asked),
    async open(uri, maxBytes) {
      try {
        return await opener.open(uri, maxBytes);
      } catch (error) {
        if (!isSluiceError(error, "E_IMAGE_VANISHED")) throw error;
        const places = await elsewhere(uri);
        for (const place of places) {
          try {
            return await opener.open(place, maxBytes);
          } catch (failure) {
            if (!isSluiceError(failure, "E_IMAGE_VANISHED")) throw failure;
          }
        }
        if (places.length === 0) throw error;
        throw new SluiceError("E_IMAGE_VANISHED", `${error.message} Nor is it at ${places.join(", nor at ")}.`, {
          cause: error,
        });
      }
    },
  };
}

/** Where a uri lies after all relocations, then where it lay in between, newest first. Each relocation is gone through once, in order. */
function placesAfter(uri: string, relocations: readonly Relocation[]): string[] {
  const places: string[] = [];
  let at = uri;
  for (const relocation of relocations) {
    const next = relocatedUri(at, relocation);
    if (next === null) continue;
    at = next;
    places.push(at);
  }
  return [...new Set(places.reverse())].filter((place) => place !== uri);
}
